"""A message as the vendor's samples show it: harmless HTML, and what the vendor may not know. Pure.

render      a message as HTML with its findings; the findings alone; the document of a frame
walk        one way through a message: what is markup, what is text, what is odd
sanitizer   nh3 and emoji, of the extras `cli` and `report`: which links hold, what leaves here
values      tags, limits, findings
"""
