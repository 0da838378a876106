"""A hook of mkdocs: links from docs/ to other files of the repository lead to them on the forge."""

import posixpath
import re

LINK = re.compile(r"(\]\()(?!\w+:|#|/)([^)\s#]+)(#[^)\s]*)?(\))")


def on_page_markdown(markdown, page, config, files):
    """Rewrites the links of a page that leave the directory of the documentation."""
    directory = posixpath.dirname(posixpath.join("docs", page.file.src_uri))

    def rewrite(match):
        path = posixpath.normpath(posixpath.join(directory, match[2]))
        if path.startswith("docs/"):
            return match[0]
        return f"{match[1]}{config.repo_url}/src/branch/main/{path}{match[3] or ''}{match[4]}"

    # Fenced code shows links as they are written.
    parts = re.split(r"(^```.*?^```)", markdown, flags=re.M | re.S)
    return "".join(part if part.startswith("```") else LINK.sub(rewrite, part) for part in parts)
