"""Prints every message: python3 client/python/examples/subscriber.py localhost:9090"""

import sys

import mmsmo


def show(delivery):
    mms = delivery.event.mms_mo
    print(mms.tracking_id, mms.sender.value, mms.subject, *(file.url for file in mms.media), flush=True)


subscriber = mmsmo.Subscriber(sys.argv[1])
with mmsmo.stop_on_signals(subscriber):
    subscriber.follow(mmsmo.from_earliest(), show)
