import mmsmo


def test_a_message_is_handled(mmsmo_gateway):
    mmsmo_gateway.subscribe("billing")
    posted = mmsmo_gateway.post(text="Hello")
    subscriber, handled = mmsmo.Subscriber(mmsmo_gateway.grpc), []

    def handle(delivery):
        handled.append(delivery.event.mms_mo.tracking_id)
        subscriber.stop()
        return mmsmo.Ack

    subscriber.run("billing", handle)
    assert handled == [posted]
