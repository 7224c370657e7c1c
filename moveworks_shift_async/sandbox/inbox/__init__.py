"""The sandbox's page at `/`: what people would see, and how the limit and the faults stand.

page        its files, its feed, and the frames in it
frames      a message, and a person's thread, as documents of their own
*.html *.css *.js   the page
"""
