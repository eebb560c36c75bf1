"""The description of the API: the OpenAPI document, and the page that shows it. No domain's rules enter."""
