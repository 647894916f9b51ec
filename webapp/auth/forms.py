"""Forms of the sign-in and account pages."""

from collections import defaultdict

from flask_wtf import FlaskForm
from wtforms import BooleanField, Field, Form, HiddenField, PasswordField, StringField, ValidationError
from wtforms.validators import DataRequired, InputRequired

from webapp.addresses import plain, same
from webapp.passwords import too_weak


def as_stored(email: str | None) -> str:
    """The email address in lower case and on one line; `accounts.by_email` compares its canonical form."""
    return plain(email or "")


class SignIn(FlaskForm):  # type: ignore[misc]
    email = StringField(filters=[as_stored], validators=[DataRequired("Enter your email address.")])
    password = PasswordField(validators=[InputRequired("Enter your password.")])
    remember = BooleanField()
    next = HiddenField()


class ForgotPassword(FlaskForm):  # type: ignore[misc]
    email = StringField(filters=[as_stored], validators=[DataRequired("Enter your email address.")])

    def validate_email(self, field: Field) -> None:
        name, _, host = same(field.data).rpartition("@")
        if not name or not host:
            raise ValidationError("Enter an email address in the form name@example.com.")


class NewPassword(FlaskForm):  # type: ignore[misc]
    password = PasswordField(validators=[InputRequired("Enter a new password.")])
    again = PasswordField()

    def validate_password(self, field: Field) -> None:
        if sentence := too_weak(field.data):
            raise ValidationError(sentence)

    def validate_again(self, field: Field) -> None:
        if field.data != self.password.data:
            raise ValidationError("The passwords do not match. Enter the same password twice.")


class ChangePassword(NewPassword):
    current = PasswordField(validators=[InputRequired("Enter your current password.")])


def errors_of(form: Form) -> defaultdict[str, str]:
    """The first error of each field; "" for a valid field."""
    return defaultdict(str, {name: messages[0] for name, messages in form.errors.items() if name and messages})
