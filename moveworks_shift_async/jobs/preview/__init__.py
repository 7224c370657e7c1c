"""A journal -> what people will get, before they do.

::

    preview         the way in: every text is looked at once
    survey          what is found in the texts, and which of them are shown
    preview_page    the page with those texts, as rendered and as source
"""
