"""All mutants, from the files of this folder."""

from tests.mutants import (
    administration,
    command_line,
    delivery,
    links,
    operations,
    pages,
    resources,
    single_sign_on,
    web,
    webhooks,
    workflow,
)

ALL = [
    *workflow.MUTANTS,
    *operations.MUTANTS,
    *links.MUTANTS,
    *delivery.MUTANTS,
    *web.MUTANTS,
    *resources.MUTANTS,
    *single_sign_on.MUTANTS,
    *administration.MUTANTS,
    *webhooks.MUTANTS,
    *command_line.MUTANTS,
    *pages.MUTANTS,
]
