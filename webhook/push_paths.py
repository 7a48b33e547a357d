"""The list of what may be pushed, each under one path, and the answer that each sender expects.

The receiver serves these paths and the loader lands each in a table: nothing else lists them.
Source: docs/TRACKSOLID_API.md. No import of FastAPI here: the loader reads this list, too.
"""

# In the order of the IoT Hub's push documents, section 1.
IOT_HUB = (
    "pushevent",
    "pushhb",
    "pushgps",
    "pushalarm",
    "rfid",
    "wgtc",
    "pushoil",
    "pushfileupload",
    "pushtem",
    "pushlbs",
    "pushresourcelist",
    "pushftpfileupload",
    "pushiothubevent",
    "pushpassthroughdata",
    "pushterminaltransinfo",
    "pushinstructresponse",
    "pushfilecontent",
    "pushextendedkks",
    "uploadcallback",
    "generalbusiness",
    "pushobd",
    "pushfaultinfo",
    "pushtripreport",
)
# The Open API sends all its messages to one URL; the form field msgType tells them apart.
OPEN_API = "push"
TAG = "api/v1/tag/data/push"
PUSHES = (*IOT_HUB, OPEN_API, TAG)

SUCCESS = b'{"code":0,"msg":"success"}'
TAG_SUCCESS = b'{"code":200,"msg":"success"}'
