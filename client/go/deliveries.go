package mmsmo

import (
	"sync"
	"time"

	"github.com/mmsmo/mmsmo-gateway/client/go/mmsmov1"
)

// Delivery is one hand-over of one event.
type Delivery struct {
	Event *mmsmov1.Event
	// Attempt counts deliveries, from 1.
	Attempt int
	// AckID names the delivery to the gateway, and in OnAckFailed.
	AckID string
}

// deliveries are those that this program holds: those that wait for a handler, and those in one. For
// several goroutines.
type deliveries struct {
	now func() time.Time

	mu       sync.Mutex
	changed  *sync.Cond
	closed   bool
	doubtAt  time.Time    // zero: never
	waiting  [][]Delivery // frames of which some wait, none empty
	count    int          // of those
	handling map[*Delivery]struct{}
}

func newDeliveries(now func() time.Time) *deliveries {
	d := &deliveries{now: now, handling: map[*Delivery]struct{}{}}
	d.changed = sync.NewCond(&d.mu)
	return d
}

// push takes a frame as a whole, with one wake-up; nothing of it after close.
func (d *deliveries) push(batch []*mmsmov1.Delivery) {
	if len(batch) == 0 {
		return
	}
	frame := make([]Delivery, len(batch))
	for i, delivery := range batch {
		frame[i] = Delivery{Event: delivery.GetEvent(), Attempt: int(delivery.GetAttempt()), AckID: delivery.GetAckId()}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	d.waiting = append(d.waiting, frame)
	d.count += len(frame)
	d.changed.Broadcast()
}

// take is the next that may begin, once there is one; nil after close, when there is none.
func (d *deliveries) take() *Delivery {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.count == 0 || d.isDoubtful() {
		if d.closed {
			return nil
		}
		d.changed.Wait()
	}
	frame := d.waiting[0]
	taken := &frame[0]
	if len(frame) > 1 {
		d.waiting[0] = frame[1:]
	} else {
		d.waiting[0] = nil
		d.waiting = d.waiting[1:]
	}
	d.count--
	d.handling[taken] = struct{}{}
	return taken
}

// finish returns whether what was taken was still held; it is not any more.
func (d *deliveries) finish(taken *Delivery) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, held := d.handling[taken]
	delete(d.handling, taken)
	return held
}

// drain forgets what waits, and returns its ack ids.
func (d *deliveries) drain() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	ackIDs := d.waitingAckIDs()
	d.drop()
	return ackIDs
}

// doubtAfter is for the end of a stream: unless keep is called before, nothing of what waits begins
// after that time, since the gateway may have given it to others.
func (d *deliveries) doubtAfter(wait time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.doubtAt.IsZero() {
		d.doubtAt = d.now().Add(wait)
	}
}

// keep is for a stream that has resumed the one before: what waits is this program's.
func (d *deliveries) keep() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.doubtAt = time.Time{}
	d.changed.Broadcast()
}

// close: nothing more is pushed; what waits can still be taken.
func (d *deliveries) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	d.changed.Broadcast()
}

func (d *deliveries) held() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.count + len(d.handling)
}

func (d *deliveries) heldAckIDs() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	ackIDs := d.waitingAckIDs()
	for delivery := range d.handling {
		ackIDs = append(ackIDs, delivery.AckID)
	}
	return ackIDs
}

func (d *deliveries) waitingAckIDs() []string {
	ackIDs := make([]string, 0, d.count+len(d.handling))
	for _, frame := range d.waiting {
		for i := range frame {
			ackIDs = append(ackIDs, frame[i].AckID)
		}
	}
	return ackIDs
}

func (d *deliveries) isDoubtful() bool {
	return !d.doubtAt.IsZero() && !d.now().Before(d.doubtAt)
}

func (d *deliveries) drop() {
	d.waiting, d.count, d.doubtAt = nil, 0, time.Time{}
}
