"""What every page is held against: plain Flask views over plain tables, written by hand for speed of reading.

One page reads the signed cookie, the user by key and 30 rows by one index, and renders them with Jinja. One form
does two SELECTs, two INSERTs and a COMMIT, and redirects. Same process, same database and same durability.
"""

import json
from datetime import UTC, datetime
from typing import Any

from flask import Flask, Response, redirect, render_template, request
from flask_login import LoginManager, UserMixin, current_user, login_required, login_user
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import ForeignKey, Index, event, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

ROWS, JSON_ROWS = 30, 50


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)
login = LoginManager()


class User(UserMixin, Base):
    __tablename__ = "bare_users"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Item(Base):
    __tablename__ = "bare_items"
    __table_args__ = (Index("ix_bare_items_user", "user_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("bare_users.id"))
    name: Mapped[str]
    category: Mapped[str]
    description: Mapped[str]
    created_at: Mapped[datetime]


class Order(Base):
    __tablename__ = "bare_orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("bare_users.id"))
    item_id: Mapped[int] = mapped_column(ForeignKey("bare_items.id"))
    message: Mapped[str]
    created_at: Mapped[datetime]


class Log(Base):
    __tablename__ = "bare_logs"

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("bare_orders.id"))
    text: Mapped[str]
    created_at: Mapped[datetime]


def create_app(database_url: str) -> Flask:
    app = Flask(__name__, static_folder=None)
    app.config.update(
        SECRET_KEY="the bare page's own",
        SESSION_COOKIE_NAME="bare",
        SQLALCHEMY_DATABASE_URI=database_url,
        SQLALCHEMY_ENGINE_OPTIONS={"pool_size": 5, "max_overflow": 15},
    )
    db.init_app(app)
    login.init_app(app)
    with app.app_context():
        if db.engine.dialect.name == "sqlite":
            event.listen(db.engine, "connect", _same_durability)
    app.add_url_rule("/sign-in", view_func=sign_in)
    app.add_url_rule("/items", view_func=items)
    app.add_url_rule("/items.json", view_func=items_as_json)
    app.add_url_rule("/orders", view_func=order, methods=["POST"])
    return app


def _same_durability(connection: Any, record: Any) -> None:
    for pragma in ("busy_timeout = 10000", "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def fill() -> None:
    """The tables, two users and their rows; inside an app context."""
    db.create_all()
    now = datetime.now(UTC).replace(tzinfo=None)
    for user in (1, 2):
        db.session.add(User(id=user, name=f"User {user}"))
        db.session.flush()
        db.session.add_all(
            Item(user_id=user, name=f"App {number}", category="Work", created_at=now,
                 description="What it is for, said in one sentence of some length.")
            for number in range(JSON_ROWS)
        )  # fmt: skip
    db.session.commit()


@login.user_loader
def load_user(id: str) -> User | None:
    return db.session.get(User, int(id))


def sign_in() -> str:
    user = db.session.get(User, 1)
    assert user is not None
    login_user(user)
    return "Signed in."


@login_required
def items() -> str:
    rows = db.session.scalars(select(Item).where(Item.user_id == current_user.id).order_by(Item.id).limit(ROWS)).all()
    return render_template("bare.html", items=rows)


def items_as_json() -> Response:
    """The floor of an API: one query, no session, `json.dumps`."""
    columns = (Item.id, Item.name, Item.category, Item.description, Item.created_at, User.name.label("owner"))
    rows = db.session.connection().execute(
        select(*columns).join(User, User.id == Item.user_id).where(User.id == 1).order_by(Item.id).limit(JSON_ROWS)
    )
    found = [
        {
            "id": str(row.id), "reference": f"R-{row.id}", "state": "pending", "app": {"id": "1", "name": row.name},
            "for_person": {"id": "1", "name": row.owner}, "asked_by": {"id": "1", "name": row.owner},
            "message": row.description, "created_at": row.created_at.isoformat(), "settled_at": None,
            "step": {"position": 1, "of": 2, "approver": {"kind": "person", "name": row.owner},
                     "due_at": row.created_at.isoformat()},
        }
        for row in rows
    ]  # fmt: skip
    return Response(json.dumps({"items": found, "next": None}), content_type="application/json")


@login_required
def order() -> Any:
    item = db.session.get(Item, int(request.form["item"]))
    assert item is not None
    now = datetime.now(UTC).replace(tzinfo=None)
    made = Order(user_id=current_user.id, item_id=item.id, message=request.form["message"], created_at=now)
    db.session.add(made)
    db.session.flush()
    db.session.add(Log(order_id=made.id, text=f"{current_user.name} asked for {item.name}.", created_at=now))
    db.session.commit()
    return redirect("/items", 303)
