// Package mmsmo receives the events of an mmsmo-gateway, and goes on where it was after any failure.
//
//	subscriber, err := mmsmo.NewSubscriber(mmsmo.Options{Target: "localhost:9090"})
//
// Of a named subscription, whose position the gateway keeps:
//
//	err = subscriber.Run(ctx, "billing", func(ctx context.Context, d *mmsmo.Delivery) mmsmo.Verdict {
//		if err := book(ctx, d.Event); err != nil {
//			return mmsmo.Failed(err)
//		}
//		return mmsmo.Ack()
//	})
//
// Or from a position that this program keeps:
//
//	err = subscriber.Follow(ctx, mmsmo.FromEarliest(), func(ctx context.Context, event *mmsmov1.Event) error {
//		return book(ctx, event)
//	})
//
// The gateway's other services are reached over a connection of Dial, by the stubs in mmsmov1.
package mmsmo
