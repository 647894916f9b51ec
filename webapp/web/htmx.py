"""The only place that reads or sets HX-* headers."""

from flask import Response, make_response, render_template, request


def is_fragment() -> bool:
    """Whether the response replaces a part of the page: requested by htmx, neither boosted nor a history restore."""
    headers = request.headers
    return (
        headers.get("HX-Request") == "true"
        and headers.get("HX-Boosted") != "true"
        and headers.get("HX-History-Restore-Request") != "true"
    )


def current_page() -> str | None:
    """The address of the page that a fragment is asked for; None without htmx."""
    return request.headers.get("HX-Current-URL")


def redirect_whole_page(response: Response, location: str) -> Response:
    """Makes htmx load another page instead of swapping this answer in."""
    response.headers["HX-Redirect"] = location
    return response


def as_toast(response: Response) -> Response:
    """Shows the answer as a toast; what the person typed stays where it is."""
    response.headers["HX-Retarget"] = "#toasts"
    response.headers["HX-Reswap"] = "beforeend"
    return response


def retarget(response: Response, target: str, swap: str = "outerHTML") -> Response:
    """Swaps the answer somewhere else than where the request came from."""
    response.headers["HX-Retarget"] = target
    response.headers["HX-Reswap"] = swap
    return response


def dialog(folder: str, name: str, status: int = 200, **values: object) -> Response:
    """Render `folder/_name.html` for htmx, else the page `folder/name.html` with the dialog open (`modal`)."""
    file = f"_{name}.html" if is_fragment() else f"{name}.html"
    return make_response(render_template(f"{folder}/{file}", modal=not is_fragment(), **values), status)


def vary(response: Response) -> Response:
    """A page and its fragment share an address, so caches must keep them apart."""
    response.vary.add("HX-Request")
    return response
