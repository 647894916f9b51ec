"""Who works at the demo company, and what they can have. All of it is made up; nothing is connected to anything."""

from dataclasses import dataclass

from webapp.workflow.states import Assurance, Visibility

HIDDEN, READ, WRITE = Visibility.HIDDEN, Visibility.READ, Visibility.WRITE

NAME = "Nordlicht"
TIME_ZONE = "Europe/Berlin"
ADMIN = "Adam"

# First name → (name, what they do). The first name is how everything here speaks of them.
PEOPLE = {
    "Adam": ("Adam Weiss", "IT, Berlin"),
    "Ana": ("Ana Moreau", "Head of Sales Operations, Hamburg"),
    "Ben": ("Ben Okafor", "Finance, Berlin"),
    "Chloe": ("Chloe Tan", "Finance, Berlin"),
    "Ines": ("Ines Kaya", "Marketing, Vienna"),
    "Lena": ("Lena Novak", "People team, Hamburg"),
    "Marta": ("Marta Silva", "Design, Lisbon"),
    "Noah": ("Noah Fischer", "Platform engineering, Berlin"),
    "Otto": ("Otto Brandt", "Customer support, Hamburg"),
    "Paul": ("Paul Hartmann", "Sales, Munich"),
    "Rita": ("Rita Lindqvist", "Marketing, Hamburg"),
    "Tom": ("Tom Keller", "Sales, Munich"),
}

# First name → (department, first name of the manager).
REPORTING = {
    "Lena": ("Management", ""),
    "Adam": ("IT", "Lena"),
    "Ana": ("Sales", "Lena"),
    "Ben": ("Finance", "Lena"),
    "Ines": ("Marketing", "Lena"),
    "Noah": ("IT", "Adam"),
    "Chloe": ("Finance", "Ben"),
    "Marta": ("Design", "Ines"),
    "Rita": ("Marketing", "Ines"),
    "Otto": ("Support", "Ana"),
    "Paul": ("Sales", "Tom"),
    "Tom": ("Sales", "Ana"),
}

GROUPS = {
    "Finance": ("Ben", "Chloe"),
    "Marketing": ("Ines", "Rita"),
    "Platform": ("Adam", "Noah"),
}


@dataclass(frozen=True, slots=True)
class Field:
    """An entitlement. `steps` says what each step's approver may do with it, in the order of the steps."""

    name: str
    kind: str
    options: tuple[str, ...] = ()
    requester: Visibility = HIDDEN
    steps: tuple[Visibility, ...] = ()
    required: bool = False
    default: str | bool | None = None
    help: str = ""


@dataclass(frozen=True, slots=True)
class Product:
    """An app. `approvers` are people or groups, one step each; none: people add it themselves."""

    name: str
    category: str
    icon: str
    description: str
    owner: str
    approvers: tuple[str, ...] = ()
    note: str = ""
    days: int = 3
    fields: tuple[Field, ...] = ()
    assurance: Assurance = Assurance.CODE
    comment_required: bool = False
    audience: tuple[str, ...] = ()
    requestable: bool = True
    welcome: str = ""

    @property
    def launch_url(self) -> str:
        return f"https://{self.name.lower().replace(' ', '-')}.example.com/"


PRODUCTS = (
    Product(
        "1Password", "Teamwork", "key", "Passwords for the team, each in the vault of those who need it.",
        "Adam", ("Adam",),
        note="Name the vault you need. Your own private vault comes with it.",
        fields=(
            Field("Vault", "choice", ("Company", "Finance", "Marketing", "Sales"), WRITE, (READ,), required=True,
                  default="Company"),
        ),
    ),
    Product(
        "Adobe Creative Cloud", "Design", "brush", "Photoshop, Illustrator and InDesign for print and pictures.",
        "Marta", ("Marta", "Finance"),
        note="For screens, Figma is the better tool and costs a third.",
        fields=(
            Field("Licence", "choice", ("Single app", "All apps"), WRITE, (WRITE, READ), required=True,
                  default="Single app"),
            Field("Cost centre", "text", (), HIDDEN, (HIDDEN, WRITE), help="Four digits"),
        ),
    ),
    Product("Apptio", "Finance", "chart-pie", "IT cost planning: see what every service costs and who uses it.",
            "Finance"),
    Product(
        "Benevity", "People", "heart-handshake", "Give, volunteer and run campaigns for causes that you care about.",
        "Adam", ("Ana",),
        note="You only need this app to run a campaign. To give or to volunteer, the link on the intranet is enough.",
        fields=(
            Field("Role", "choice", ("Campaign owner", "Reporter"), WRITE, (READ,), required=True, default="Reporter",
                  help="A campaign owner creates and runs campaigns; a reporter sees results only."),
            Field("Licence", "choice", ("Standard", "With matched giving"), READ, (WRITE,), required=True,
                  default="Standard", help="With matched giving, the company doubles what people give."),
        ),
    ),
    Product(
        "Concur", "Finance", "receipt", "Book travel, photograph receipts and get your money back.",
        "Chloe", ("Finance", "Lena"),
        fields=(Field("Role", "choice", ("Traveller", "Assistant"), WRITE, (READ, READ), required=True,
                      default="Traveller"),),
    ),
    Product("Datadog", "Engineering", "activity", "Metrics, logs and alerts of everything that we run.", "Noah"),
    Product("DeepL", "Teamwork", "world", "Translate whole documents and keep their layout.", "Lena"),
    Product(
        "DocuSign", "Teamwork", "signature", "Send documents for a legally binding signature.",
        "Adam", ("Adam",),
        note="Whoever sends from here signs for the company. Read the signing rules on the intranet first.",
        assurance=Assurance.SIGN_IN,
        comment_required=True,
        fields=(Field("Role", "choice", ("Sender", "Template editor"), WRITE, (WRITE,), required=True,
                      default="Sender"),),
    ),
    Product(
        "Figma", "Design", "vector-bezier", "Design screens together in the browser, from sketch to hand-over.",
        "Marta", ("Marta",),
        note="Looking and commenting is free for everyone with the link. Ask for a seat only if you draw.",
        fields=(Field("Seat", "choice", ("Full seat", "Dev seat"), WRITE, (WRITE,), required=True,
                      default="Full seat"),),
    ),
    Product(
        "GitHub", "Engineering", "git-branch", "Source code, reviews and builds.",
        "Noah", ("Noah",),
        fields=(
            Field("Role", "choice", ("Reader", "Developer", "Maintainer"), WRITE, (WRITE,), required=True,
                  default="Developer"),
            Field("Repositories", "choices", ("website", "campaigns", "shop", "infrastructure"), WRITE, (WRITE,)),
        ),
    ),
    Product(
        "HubSpot", "Sales", "speakerphone", "Newsletters, landing pages and the leads that come from them.",
        "Tom", ("Tom",),
        fields=(Field("May send to customers", "yes_no", (), HIDDEN, (WRITE,), default=False),),
    ),
    Product("Jira", "Engineering", "checklist", "Plan the work of a team and follow every issue to its end.", "Noah"),
    Product(
        "LinkedIn Learning", "People", "school", "Courses on software, writing and leading people.",
        "Lena", ("Lena",),
        note="Two hours a week are working time.",
        days=7,
    ),
    Product("Miro", "Design", "layout-board", "One large whiteboard for everybody in the meeting.", "Marta",
            fields=(Field("Role", "choice", ("Viewer", "Editor"), READ, default="Editor"),)),
    Product(
        "NetSuite", "Finance", "building-bank", "Ledger, invoices and purchase orders.",
        "Ana", ("Ana", "Finance"),
        fields=(
            Field("Role", "choice", ("Reader", "Invoice clerk", "Accountant"), WRITE, (WRITE, READ), required=True,
                  default="Reader"),
            Field("Limit in euros", "number", (), HIDDEN, (HIDDEN, WRITE), help="Up to which sum they may release"),
        ),
    ),
    Product("Notion", "Teamwork", "file-text", "Notes, handbooks and small databases that people find again.", "Lena"),
    Product(
        "PagerDuty", "Engineering", "phone", "Wakes up whoever is on call when something breaks.",
        "Noah", ("Noah",), audience=("Platform",),
    ),
    Product(
        "Salesforce", "Sales", "address-book", "Accounts, opportunities and the history of every customer.",
        "Adam", ("Ana", "Finance"),
        note="Only for people who work with accounts. For reports, ask for Tableau: it is quicker and costs nothing.",
        comment_required=True,
        welcome="Welcome. Your first sign-in takes ten minutes to work. Training is every Tuesday at 14:00.",
        fields=(
            Field("Role", "choice", ("Sales user", "Sales manager", "Read only"), WRITE, (READ, READ), required=True,
                  default="Sales user"),
            Field("Region", "choice", ("EMEA", "Americas", "Asia and Pacific"), HIDDEN, (WRITE, READ), required=True,
                  default="EMEA"),
            Field("Licence", "choice", ("Standard, 75 € a month", "Professional, 140 € a month"), HIDDEN,
                  (HIDDEN, WRITE), required=True, default="Standard, 75 € a month"),
            Field("Cost centre", "text", (), HIDDEN, (HIDDEN, WRITE), help="Only Finance sees and sets this."),
        ),
    ),
    Product("Slack", "Teamwork", "message-circle", "Talk in channels and find what was said.", "Adam",
            fields=(Field("Role", "choice", ("Member", "Channel admin"), READ, default="Member"),)),
    Product(
        "Snowflake", "Engineering", "database", "The data warehouse. Ask for the roles that you need, no more.",
        "Noah", ("Noah", "Finance"),
        comment_required=True,
        fields=(
            Field("Roles", "choices", ("Sales read", "Marketing read", "Support read", "Modelling"), WRITE,
                  (WRITE, READ), required=True),
            Field("Credits a month", "number", (), HIDDEN, (READ, WRITE), help="100 is plenty for reports."),
        ),
    ),
    Product(
        "Spendesk", "Finance", "credit-card", "Company cards and small purchases with their receipts.",
        "Finance", ("Finance",),
        note="One card for each team is the rule. Ask whoever has it in yours first.",
    ),
    Product(
        "Tableau", "Sales", "chart-dots", "Reports and dashboards on sales data, without a licence for the source.",
        "Adam", ("Ana",),
        fields=(Field("Role", "choice", ("Viewer", "Author"), WRITE, (WRITE,), required=True, default="Viewer"),),
    ),
    Product("Workday", "People", "calendar", "Holidays, sick notes and pay slips. Everyone gets it on the first day.",
            "Lena", requestable=False,
            fields=(Field("Role", "choice", ("Employee", "Manager"), READ, default="Employee"),)),
    Product("Zendesk", "Sales", "lifebuoy", "Answer customers and see what they asked before.", "Otto"),
    Product("Zoom", "Teamwork", "video", "Video meetings with up to 300 people, recorded when you say so.", "Adam",
            fields=(Field("Licence", "choice", ("Basic", "Licensed"), READ, default="Licensed"),)),
)  # fmt: skip

# What everybody has from the first day.
ON_THE_FIRST_DAY = ("Slack", "Workday", "Zoom")
