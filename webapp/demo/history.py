"""What happened at the demo company in the last ninety days, and what is open now."""

from dataclasses import dataclass, field
from datetime import datetime

from webapp.workflow.states import Channel

from .diary import Diary

# An entitlement's value as a form would send it: one text, several, or "" for an unticked box.
Values = dict[str, str | tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Yes:
    """`after` is in hours, counted from when the step opened."""

    by: str
    after: float
    comment: str = ""
    values: Values = field(default_factory=dict)
    channel: Channel = Channel.CODE


@dataclass(frozen=True, slots=True)
class No:
    by: str
    after: float
    reason: str
    channel: Channel = Channel.CODE


@dataclass(frozen=True, slots=True)
class Override:
    """An admin decides in place of the approver."""

    by: str
    after: float
    reason: str


@dataclass(frozen=True, slots=True)
class Cancelled:
    after: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Silence:
    """Nobody answers until the time is over."""


@dataclass(frozen=True, slots=True)
class Said:
    by: str
    after: float
    words: str


@dataclass(frozen=True, slots=True)
class AskedAgain:
    after: float


Act = Yes | No | Override | Cancelled | Silence | Said | AskedAgain


@dataclass(frozen=True, slots=True)
class Asked:
    """A request; the acts in their order. Whatever is still open after the last one is pending now."""

    at: datetime
    who: str
    app: str
    why: str
    values: Values = field(default_factory=dict)
    acts: tuple[Act, ...] = ()
    program: str = ""  # the token by which it was submitted


@dataclass(frozen=True, slots=True)
class Added:
    """An app that needs no approval."""

    at: datetime
    who: str
    app: str


@dataclass(frozen=True, slots=True)
class Removed:
    at: datetime
    who: str
    app: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Stuck:
    """A grant that the app's own side has not taken yet, or has refused: `provisioning` or `failed`."""

    at: datetime
    who: str
    app: str
    state: str


def added(diary: Diary) -> list[Added]:
    day = diary.day
    return [
        Added(day(60, "09:04"), "Marta", "Miro"),
        Added(day(59, "10:31"), "Rita", "Miro"),
        Added(day(57, "08:50"), "Noah", "Datadog"),
        Added(day(57, "08:52"), "Noah", "Jira"),
        Added(day(55, "14:15"), "Otto", "Zendesk"),
        Added(day(50, "11:20"), "Tom", "Zendesk"),
        Added(day(46, "16:02"), "Ben", "Apptio"),
        Added(day(46, "16:10"), "Chloe", "Apptio"),
        Added(day(41, "09:33"), "Lena", "Notion"),
        Added(day(38, "13:18"), "Ines", "Miro"),
        Added(day(33, "10:05"), "Adam", "Datadog"),
        Added(day(30, "15:44"), "Ana", "Zendesk"),
        Added(day(24, "09:12"), "Otto", "DeepL"),
        Added(day(19, "11:51"), "Ana", "DeepL"),
        Added(day(12, "08:47"), "Adam", "Apptio"),
        Added(day(6, "14:29"), "Tom", "Notion"),
    ]


def removed(diary: Diary) -> list[Removed]:
    return [
        Removed(diary.day(22, "12:10"), "Paul", "Salesforce", "Adam", "Paul left the company."),
        Removed(diary.day(9, "10:02"), "Otto", "HubSpot", "Adam", "The newsletter moved to marketing."),
    ]


def stuck(diary: Diary) -> list[Stuck]:
    return [
        Stuck(diary.day(26, "08:20"), "Ines", "LinkedIn Learning", "failed"),
        Stuck(diary.day(2, "11:50"), "Otto", "GitHub", "provisioning"),
    ]


def asked(diary: Diary) -> list[Asked]:
    return [*_long_ago(diary), *_last_month(diary), *_last_week(diary), *_open(diary)]


def _long_ago(diary: Diary) -> list[Asked]:
    day = diary.day
    return [
        Asked(day(61, "09:12"), "Tom", "Salesforce", "I look after the accounts in Bavaria.",
              {"Role": "Sales user"},
              (Yes("Ana", 2.1, "", {"Region": "EMEA"}),
               Yes("Chloe", 5.5, "", {"Licence": "Standard, 75 € a month", "Cost centre": "4120"}))),
        Asked(day(61, "10:40"), "Paul", "Salesforce", "Same team as Tom.", {"Role": "Sales user"},
              (Yes("Ana", 0.7, "", {"Region": "EMEA"}),
               Yes("Ben", 20, "", {"Licence": "Standard, 75 € a month", "Cost centre": "4120"}))),
        Asked(day(60, "11:05"), "Noah", "1Password", "", {"Vault": "Company"}, (Yes("Adam", 0.3),)),
        Asked(day(60, "14:20"), "Rita", "1Password", "The logins of our social media accounts.",
              {"Vault": "Marketing"}, (Yes("Adam", 1.2, channel=Channel.BROWSER),)),
        Asked(day(59, "09:30"), "Ines", "Figma", "I lay out the landing pages.", {"Seat": "Full seat"},
              (Yes("Marta", 3.4, "", {"Seat": "Full seat"}),)),
        Asked(day(58, "15:11"), "Otto", "HubSpot", "I write the answers to the newsletter.", {},
              (Yes("Tom", 4.2, "Until marketing takes it over.", {"May send to customers": "yes"}),)),
        Asked(day(57, "13:02"), "Adam", "GitHub", "Backups of the repositories.",
              {"Role": "Maintainer", "Repositories": ("infrastructure",)},
              (Yes("Noah", 0.9, "", {"Role": "Maintainer", "Repositories": ("infrastructure",)}),)),
        Asked(day(56, "08:55"), "Ben", "NetSuite", "Month end.", {"Role": "Accountant"},
              (Yes("Ana", 1.6, "", {"Role": "Accountant"}),
               Yes("Chloe", 2.4, "", {"Limit in euros": "5000"}, Channel.BROWSER))),
        Asked(day(56, "09:10"), "Chloe", "NetSuite", "Month end.", {"Role": "Accountant"},
              (Yes("Ana", 1.4, "", {"Role": "Accountant"}),
               Yes("Ben", 3.1, "", {"Limit in euros": "5000"}, Channel.BROWSER))),
        Asked(day(55, "16:25"), "Tom", "Concur", "Customer visits.", {"Role": "Traveller"},
              (Yes("Ben", 17), Yes("Lena", 2.2))),
        Asked(day(54, "10:18"), "Ana", "Tableau", "My own area, so somebody else has to say yes.",
              {"Role": "Author"}, (Yes("Adam", 5.1, "", {"Role": "Author"}, Channel.BROWSER),)),
        Asked(day(53, "11:47"), "Lena", "LinkedIn Learning", "To see what I am going to recommend.", {},
              (Yes("Adam", 6.0, "Try them all."),)),
        Asked(day(52, "09:26"), "Rita", "LinkedIn Learning", "The course on writing for the web.", {},
              (Yes("Lena", 26, "Enjoy it."),)),
        Asked(day(51, "14:37"), "Otto", "Salesforce", "To see who calls me.", {"Role": "Read only"},
              (Yes("Ana", 3.0, "Reading is enough.", {"Region": "EMEA"}),
               No("Chloe", 22, "No licences left this quarter. Zendesk shows the account name as well."))),
        Asked(day(49, "10:09"), "Marta", "Adobe Creative Cloud", "The trade fair needs print data.",
              {"Licence": "All apps"},
              (Yes("Adam", 7.5, "", {"Licence": "All apps"}, Channel.BROWSER),
               Yes("Ben", 19, "", {"Cost centre": "3300"}))),
        Asked(day(48, "09:41"), "Paul", "Tableau", "Weekly numbers.", {"Role": "Viewer"},
              (Yes("Ana", 1.1, "", {"Role": "Viewer"}),)),
        Asked(day(47, "13:50"), "Lena", "DocuSign", "Employment contracts.", {"Role": "Sender"},
              (Yes("Adam", 20, "", {"Role": "Sender"}, Channel.BROWSER),)),
        Asked(day(46, "08:33"), "Noah", "PagerDuty", "On call every third week.", {},
              (Yes("Adam", 0.4, channel=Channel.BROWSER),)),
        Asked(day(45, "15:58"), "Ines", "HubSpot", "Newsletters.", {},
              (Yes("Tom", 18, "", {"May send to customers": ""}),)),
        Asked(day(44, "11:30"), "Adam", "Snowflake", "Cost report.", {"Roles": ("Modelling",)},
              (Yes("Noah", 2.0, "", {"Roles": ("Modelling",)}), Silence())),
        Asked(day(43, "10:21"), "Rita", "GitHub", "I correct the texts of the website myself.",
              {"Role": "Developer", "Repositories": ("website", "campaigns")},
              (Said("Noah", 1.0, "Have you worked with pull requests before?"),
               Said("Rita", 1.4, "Yes, at my last job. Marta reviews them."),
               Yes("Noah", 2.3, "Welcome.", {"Role": "Developer", "Repositories": ("website", "campaigns")},
                   Channel.BROWSER))),
        Asked(day(42, "09:02"), "Tom", "Tableau", "The pipeline by month.", {"Role": "Viewer"},
              (Yes("Ana", 0.6, "", {"Role": "Viewer"}),)),
        Asked(day(41, "12:44"), "Ben", "Spendesk", "", {}, (Yes("Chloe", 1.9),)),
    ]  # fmt: skip


def _last_month(diary: Diary) -> list[Asked]:
    day = diary.day
    return [
        Asked(day(39, "10:55"), "Chloe", "1Password", "The bank's logins.", {"Vault": "Finance"},
              (Yes("Adam", 0.8),)),
        Asked(day(38, "14:03"), "Otto", "Concur", "A course in Berlin.", {"Role": "Traveller"},
              (Yes("Chloe", 3.3), Yes("Lena", 21, "Have a good trip."))),
        Asked(day(37, "09:15"), "Ines", "Adobe Creative Cloud", "Pictures for the campaign.",
              {"Licence": "All apps"},
              (Yes("Marta", 4.0, "Photoshop is what you need.", {"Licence": "Single app"}),
               Yes("Chloe", 5.2, "", {"Cost centre": "3310"}))),
        Asked(day(36, "16:19"), "Rita", "Adobe Creative Cloud", "Two banners for the fair.",
              {"Licence": "Single app"}, (Cancelled(1.5, "Ines makes them for me."),)),
        Asked(day(35, "11:11"), "Tom", "Benevity", "I organise the food bank drive.",
              {"Role": "Campaign owner"}, (No("Ana", 23, "Lena has the budget for it this year. Ask her first."),)),
        Asked(day(34, "08:49"), "Lena", "Benevity", "The food bank drive.", {"Role": "Campaign owner"},
              (Yes("Ana", 2.6, "Good that it has one owner.", {"Licence": "With matched giving"}),)),
        Asked(day(33, "13:27"), "Marta", "GitHub", "To review texts and pictures.",
              {"Role": "Reader", "Repositories": ("website",)},
              (Yes("Noah", 0.5, "", {"Role": "Developer", "Repositories": ("website",)}),)),
        Asked(day(32, "10:36"), "Ana", "Snowflake", "Churn by region.", {"Roles": ("Sales read",)},
              (Yes("Noah", 3.9, "", {"Roles": ("Sales read",)}),
               Yes("Ben", 4.4, "", {"Credits a month": "100"}))),
        Asked(day(31, "15:05"), "Otto", "Snowflake", "Tickets per customer.",
              {"Roles": ("Support read", "Sales read")},
              (No("Noah", 1.8, "Tableau has this as a finished report. Ask for that one."),)),
        Asked(day(30, "09:58"), "Chloe", "Spendesk", "", {}, (Yes("Ben", 0.4),)),
        Asked(day(29, "11:42"), "Paul", "Concur", "Fair in Cologne.", {"Role": "Traveller"},
              (Yes("Chloe", 2.7), Silence())),
        Asked(day(28, "14:31"), "Ines", "LinkedIn Learning", "Colour theory.", {}, (Yes("Lena", 3.6),)),
        Asked(day(27, "10:00"), "Tom", "DocuSign", "Offers to customers.", {"Role": "Template editor"},
              (Yes("Adam", 28, "Sending is enough for offers.", {"Role": "Sender"}, Channel.BROWSER),)),
        Asked(day(26, "08:38"), "Noah", "Figma", "I build what Marta draws.", {"Seat": "Dev seat"},
              (Yes("Marta", 1.3, "", {"Seat": "Dev seat"}),)),
        Asked(day(25, "13:13"), "Ben", "Tableau", "The forecast.", {"Role": "Viewer"},
              (AskedAgain(25),
               Override("Adam", 27, "Ana is travelling until Monday, and month end cannot wait."))),
        Asked(day(23, "09:20"), "Paul", "Benevity", "My team wants to join.", {"Role": "Reporter"}, ()),
        Asked(day(21, "11:08"), "Otto", "LinkedIn Learning", "Difficult conversations.", {}, (Yes("Lena", 0.9),)),
        Asked(day(20, "16:40"), "Otto", "Benevity", "Volunteers from support.", {"Role": "Reporter"},
              (Yes("Ana", 16, "", {"Licence": "Standard"}),)),
        Asked(day(18, "10:10"), "Marta", "1Password", "", {"Vault": "Company"}, (Yes("Adam", 2.9),)),
        Asked(day(17, "14:55"), "Otto", "Tableau", "I would like to build my own reports.", {"Role": "Author"},
              (No("Ana", 4.8, "Authors need the training first. Do it, then ask again."),)),
        Asked(day(16, "09:48"), "Ana", "LinkedIn Learning", "Negotiation.", {}, (Yes("Lena", 30),)),
        Asked(day(15, "12:02"), "Chloe", "DocuSign", "Supplier contracts.", {"Role": "Sender"},
              (Yes("Adam", 3.5, "", {"Role": "Sender"}, Channel.BROWSER),)),
        Asked(day(14, "15:33"), "Lena", "Concur", "The team's travel.", {"Role": "Assistant"},
              (Yes("Ben", 2.1), Yes("Chloe", 18, "In place of Lena, who asks herself."))),
        Asked(day(13, "10:27"), "Tom", "Figma", "Slides with the new look.", {"Seat": "Full seat"},
              (No("Marta", 5.3, "A seat is for drawing. The slide template is in the shared folder."),)),
        Asked(day(11, "11:19"), "Ines", "DocuSign", "Model releases.", {"Role": "Sender"}, (Silence(),)),
        Asked(day(10, "09:09"), "Marta", "Snowflake", "How often the new pages are opened.",
              {"Roles": ("Marketing read",)},
              (Yes("Noah", 1.7, "", {"Roles": ("Marketing read",)}),
               No("Chloe", 21, "The same numbers are in HubSpot, free of charge."))),
        Asked(day(8, "13:40"), "Lena", "Tableau", "Head count by month.", {"Role": "Viewer"},
              (Yes("Ana", 0.6, "", {"Role": "Viewer"}),)),
    ]  # fmt: skip


def _last_week(diary: Diary) -> list[Asked]:
    day = diary.day
    return [
        Asked(day(6, "10:12"), "Ines", "1Password", "", {"Vault": "Marketing"}, (Yes("Adam", 1.1),)),
        Asked(day(5, "10:05"), "Rita", "NetSuite", "I need the campaign costs for the forecast.",
              {"Role": "Reader"},
              (Yes("Ana", 1.4, "Read only is enough for the forecast.", {"Role": "Reader"}), Silence())),
        Asked(day(4, "14:45"), "Lena", "Figma", "The new onboarding pages.", {"Seat": "Full seat"},
              (Cancelled(0.6, "Ines will do it."),)),
        Asked(day(3, "09:05"), "Marta", "HubSpot", "Pictures in the newsletter.", {},
              (Yes("Tom", 2.8, "", {"May send to customers": ""}),)),
        Asked(day(3, "11:20"), "Rita", "Concur", "Two customer visits, Lyon and Milan.", {"Role": "Traveller"},
              (No("Ben", 4.7, "Travel is booked by the office team this quarter. "
                  "Ask Chloe if a trip cannot wait.", Channel.BROWSER),), program="laptop"),
        Asked(day(2, "09:35"), "Otto", "GitHub", "To report faults where they are mended.",
              {"Role": "Reader", "Repositories": ("shop",)},
              (Yes("Noah", 2.2, "", {"Role": "Reader", "Repositories": ("shop",)}),)),
    ]  # fmt: skip


def _open(diary: Diary) -> list[Asked]:
    """Three wait for Ana, two for Finance, one each for Marta, Adam and Noah."""
    ago = diary.ago
    return [
        Asked(diary.due_today(3), "Marta", "NetSuite",
              "From next month I check the agency's invoices for Iberia, the first on the 3rd.",
              {"Role": "Invoice clerk"}, (AskedAgain(25),)),
        Asked(ago(1.0), "Noah", "Benevity",
              "I run the food bank drive in Berlin, and Lena hands that part over to me this week.",
              {"Role": "Campaign owner"}),
        Asked(ago(17), "Otto", "Tableau", "I did the training. I need the support backlog by country every Monday.",
              {"Role": "Author"}, (Said("Otto", 0.2, "The certificate is in my LinkedIn Learning profile."),)),
        Asked(ago(30), "Tom", "Snowflake", "Renewals that are late, by region.", {"Roles": ("Sales read",)},
              (Yes("Noah", 4, "Only reading, only sales.", {"Roles": ("Sales read",)}),)),
        Asked(ago(44), "Ines", "Salesforce", "I plan the renewals campaign with Ana's team.",
              {"Role": "Read only"},
              (Yes("Ana", 3, "Right for the campaign. EMEA is enough.", {"Region": "EMEA"}),
               Said("Ben", 20, "Is this for longer than the campaign?"))),
        Asked(ago(0.4), "Rita", "Figma", "The new landing pages, together with Marta.",
              {"Seat": "Full seat"}),
        Asked(ago(6), "Ben", "DocuSign", "Credit agreements.", {"Role": "Sender"}),
        Asked(ago(26), "Tom", "GitHub", "To follow what changes in the shop.",
              {"Role": "Reader", "Repositories": ("shop",)}),
    ]  # fmt: skip
