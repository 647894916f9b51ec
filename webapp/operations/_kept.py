"""What a directory keeps is not changed by hand: its next push would undo it."""

from webapp.queries import directories
from webapp.workflow.actor import AnyActor
from webapp.workflow.states import Channel

from .errors import Conflict


def refuse_if_kept(actor: AnyActor, *, what: str, person: int | None = None, group: int | None = None) -> None:
    """Raises Conflict if a directory keeps this person or group and it is not the directory that acts. `what` begins
    the sentence: "The name of Rita Lindqvist"."""
    if actor.channel is Channel.DIRECTORY:
        return
    keeper = directories.keeper(person=person, group=group)
    if keeper is not None:
        raise Conflict(f"{what} comes from {keeper.name}. Change it there; it is pushed to Countersign.")
