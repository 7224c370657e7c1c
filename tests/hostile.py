"""Nine messages of somebody who means harm: wherever one is shown, it must be harmless text.

Each would say so in the title of its page if a script of it ran, and would ask `hostile.example`
for something if the browser fetched what it names.
"""

from __future__ import annotations

OWNED = "document.title='owned'"

#: A name -> the message.
HOSTILE = {
    "script": f"<script>{OWNED}</script><script src=//hostile.example/s.js></script>Hello",
    "svg": f"<svg onload=\"{OWNED}\"><script>{OWNED}</script><image href='//hostile.example/i'/>"
    f"<animate onbegin={OWNED} attributeName=x dur=1s></svg>Hello",
    "event handlers": f'<b onmouseover="{OWNED}">Hello</b><img src=//hostile.example/x'
    f' onerror="{OWNED}"><p onfocus="{OWNED}" autofocus tabindex=1>there</p>',
    "javascript links": f'<a href="jav&#x09;ascript:{OWNED}">Hello</a>'
    f'<a href=" &#1;JaVaScRiPt:{OWNED}">a</a><a href="https://x/" onclick="{OWNED}">b</a>'
    f'<a href="//hostile.example/">c</a>',
    "forms": '<form action="https://hostile.example/f"><input name=password autofocus'
    f' onfocus="{OWNED}"><button formaction="javascript:{OWNED}">Hello</button></form>',
    "styles": "<style>@import '//hostile.example/s.css';*{display:none}</style>"
    "<link rel=stylesheet href=//hostile.example/l.css>"
    "<b style=\"background:url('//hostile.example/b')\">Hello</b>",
    "meta refresh": '<meta http-equiv="refresh" content="0;url=https://hostile.example/m">'
    '<base href="https://hostile.example/"><iframe src="https://hostile.example/i"></iframe>Hello',
    "data links": f'<a href="data:text/html,<script>{OWNED}</script>">Hello</a>'
    f'<object data="data:text/html;base64,PHNjcmlwdD4="></object><iframe srcdoc="<script>'
    f'parent.{OWNED}</script>"></iframe>',
    "mutation": f'<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1'
    f' onerror={OWNED}&gt;"><noscript><p title="</noscript><img src=x onerror={OWNED}>">'
    f'<svg></p><style><a id="</style><img src=1 onerror={OWNED}>">Hello'
    f"</textarea></title></xmp></iframe></srcdoc><img src=//hostile.example/n onerror={OWNED}>",
}
