"""Search over folders of documents: words first, meaning where an embedder is configured.

    async with Knowledge("data/knowledge.db") as knowledge:
        await knowledge.add("house", "documents/house")       # a folder is a collection
        hits = await knowledge.search("When is the rent due?", among=["house"])
        hits[0].citation                                      # 'lease.md:12-18'

    passages.py    cuts a document into passages, each with its heading and lines
    formats.py     txt, md, html, csv, json   (pdf and docx: pages.py, an extra)
    folder.py      which files of a folder are documents, and whether they have changed
    index.py       what is in the index; index_file.py is its file, beside the store
    indexing.py    brings a collection up to its folder
    query.py       what is searched for, and how rankings become one
    vectors.py     exact search by meaning, an extra
    collections.py `Knowledge`: all of it together

The one rule to remember: **nothing is found but in the collections that were named**. Each has a
table of its own, so a search cannot reach another one, nor learn from it which words it has.
"""

from sessionbot_kit.knowledge.collections import Hits, Knowledge
from sessionbot_kit.knowledge.index import CollectionStatus
from sessionbot_kit.knowledge.indexing import Progress, Report
from sessionbot_kit.knowledge.query import Hit

__all__ = ["CollectionStatus", "Hit", "Hits", "Knowledge", "Progress", "Report"]
