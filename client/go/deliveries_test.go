package mmsmo

import (
	"slices"
	"testing"
	"time"

	"github.com/mmsmo/mmsmo-gateway/client/go/mmsmov1"
)

type testDeliveries struct {
	*deliveries
	t     *testing.T
	clock time.Time
}

func newTestDeliveries(t *testing.T) *testDeliveries {
	d := &testDeliveries{t: t, clock: begin}
	d.deliveries = newDeliveries(func() time.Time { return d.clock })
	return d
}

func (d *testDeliveries) pushAll(ackIDs ...string) {
	batch := make([]*mmsmov1.Delivery, 0, len(ackIDs))
	for i, ackID := range ackIDs {
		batch = append(batch, &mmsmov1.Delivery{AckId: ackID, Attempt: int32(i + 1), Event: &mmsmov1.Event{Cursor: "c" + ackID}})
	}
	d.push(batch)
}

func (d *testDeliveries) wantTaken(ackID string) *Delivery {
	d.t.Helper()
	taken := d.take()
	if taken == nil || taken.AckID != ackID || taken.Event.GetCursor() != "c"+ackID {
		d.t.Fatalf("took %+v, want %s", taken, ackID)
	}
	return taken
}

func (d *testDeliveries) wantHeld(ackIDs ...string) {
	d.t.Helper()
	held := d.heldAckIDs()
	slices.Sort(held)
	if !slices.Equal(held, ackIDs) || d.held() != len(ackIDs) {
		d.t.Fatalf("%d are held: %v, want %v", d.held(), held, ackIDs)
	}
}

func (d *testDeliveries) wantNoMore() {
	d.t.Helper()
	d.close()
	if taken := d.take(); taken != nil {
		d.t.Fatalf("took %+v after everything", taken)
	}
}

func TestDeliveriesComeInOrderAndAreHeldUntilFinished(t *testing.T) {
	d := newTestDeliveries(t)
	d.pushAll("a", "b")
	d.pushAll()
	d.pushAll("c")
	a := d.wantTaken("a")
	if b := d.wantTaken("b"); b.Attempt != 2 {
		t.Fatalf("attempt %d, want 2", b.Attempt)
	}
	d.wantHeld("a", "b", "c")
	if !d.finish(a) {
		t.Fatal("what was taken was not held")
	}
	if d.finish(a) {
		t.Fatal("it was finished twice")
	}
	d.wantHeld("b", "c")
	d.wantTaken("c")
	d.wantNoMore()
}

func TestDeliveriesAfterCloseAreWhatWasThere(t *testing.T) {
	d := newTestDeliveries(t)
	d.pushAll("a", "b")
	d.close()
	d.pushAll("c")
	d.wantTaken("a")
	d.wantTaken("b")
	d.wantNoMore()
	d.wantHeld("a", "b")
}

func TestDeliveriesThatWaitCanBeDrained(t *testing.T) {
	d := newTestDeliveries(t)
	d.pushAll("a", "b")
	d.pushAll("c")
	a := d.wantTaken("a")
	if drained := d.drain(); !slices.Equal(drained, []string{"b", "c"}) {
		t.Fatalf("drained %v", drained)
	}
	if drained := d.drain(); len(drained) != 0 {
		t.Fatalf("drained %v again", drained)
	}
	d.wantHeld("a")
	if !d.finish(a) {
		t.Fatal("what a handler has is not drained")
	}
	d.pushAll("d")
	d.wantTaken("d")
}

func TestDeliveriesAreInDoubtAfterTheirStreamsEnd(t *testing.T) {
	d := newTestDeliveries(t)
	d.pushAll("a", "b", "c", "d")
	d.doubtAfter(2 * time.Second)
	d.clock = d.clock.Add(time.Second)
	d.doubtAfter(2 * time.Second) // a try that failed puts nothing off
	d.clock = d.clock.Add(time.Second - 1)
	d.wantTaken("a")
	d.clock = d.clock.Add(1)
	d.wantHeld("a", "b", "c", "d")
	d.keep() // the gateway had kept them
	d.wantTaken("b")
	d.doubtAfter(time.Second)
	d.clock = d.clock.Add(time.Second)
	d.wantNoMore()
	if drained := d.drain(); !slices.Equal(drained, []string{"c", "d"}) {
		t.Fatalf("drained %v", drained)
	}
}

func TestDeliveriesThatWereDrainedLeaveNoDoubt(t *testing.T) {
	d := newTestDeliveries(t)
	d.pushAll("a")
	d.doubtAfter(time.Second)
	d.clock = d.clock.Add(time.Second)
	d.drain()
	d.pushAll("b")
	d.wantTaken("b")
}

func TestDeliveriesWakeWhoeverWaits(t *testing.T) {
	for name, wake := range map[string]func(*testDeliveries){
		"push":  func(d *testDeliveries) { d.pushAll("a") },
		"close": func(d *testDeliveries) { d.close() },
	} {
		d := newTestDeliveries(t)
		taken := make(chan *Delivery)
		for range 2 {
			go func() { taken <- d.take() }()
		}
		wake(d)
		if first := <-taken; (first != nil) != (name == "push") {
			t.Errorf("%s: took %+v", name, first)
		}
		d.close()
		<-taken
	}
}
