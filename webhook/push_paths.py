"""The paths that are pushed to, and the answers that the senders expect.

This is the only list: the receiver serves these paths, and the loader lands each in a table of raw.
Source: docs/TRACKSOLID_API.md#all-push-paths. The loader imports this module, so it must not import
FastAPI.
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
# The Open API sends all its messages to one URL, with their kind in the form field msgType.
OPEN_API = "push"
TAG = "api/v1/tag/data/push"
PUSHES = (*IOT_HUB, OPEN_API, TAG)

SUCCESS = b'{"code":0,"msg":"success"}'
TAG_SUCCESS = b'{"code":200,"msg":"success"}'
