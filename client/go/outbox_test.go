package mmsmo

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/mmsmo/mmsmo-gateway/client/go/mmsmov1"
)

const linger = 10 * time.Millisecond

var (
	begin   = time.Date(2026, 4, 24, 18, 34, 0, 0, time.UTC)
	ack     = update{kind: kindAck}
	retry   = update{kind: kindRetry}
	extend  = update{kind: kindExtend, duration: time.Second}
	expired = mmsmov1.AckFailureReason_ACK_FAILURE_REASON_EXPIRED
	invalid = mmsmov1.AckFailureReason_ACK_FAILURE_REASON_INVALID
	passing = mmsmov1.AckFailureReason_ACK_FAILURE_REASON_TRANSIENT
)

// testOutbox waits the whole ceiling after a failure: 100 ms, then 200 ms, then 400 ms.
func testOutbox() *outbox {
	b := &backoff{min: 100 * time.Millisecond, max: 400 * time.Millisecond, random: func() float64 { return 1 }}
	b.reset()
	return newOutbox(b)
}

func idsUpTo(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprint(i)
	}
	return ids
}

func wantIDs(t *testing.T, call *updateCall, want ...string) {
	t.Helper()
	if call == nil {
		t.Fatalf("no call, want %v", want)
	}
	if !slices.Equal(call.ackIDs, want) {
		t.Fatalf("the call has %v, want %v", call.ackIDs, want)
	}
}

func wantNothing(t *testing.T, o *outbox, now time.Time) {
	t.Helper()
	if call := o.take(now); call != nil {
		t.Fatalf("there is a call: %+v", call)
	}
}

func wantDue(t *testing.T, o *outbox, want time.Time) {
	t.Helper()
	if due, isAny := o.due(); !isAny || !due.Equal(want) {
		t.Fatalf("due is %v, %v, want %v", due, isAny, want)
	}
}

func failureOf(ackID string, reason mmsmov1.AckFailureReason) *mmsmov1.AckFailure {
	return &mmsmov1.AckFailure{AckId: ackID, Reason: reason}
}

func TestOutboxGathersWhatComesWithinTheLinger(t *testing.T) {
	o := testOutbox()
	if _, isAny := o.due(); isAny {
		t.Fatal("something is due of nothing")
	}
	if !o.add(ack, "a", begin) {
		t.Fatal("the first brings due nearer")
	}
	if o.add(ack, "b", begin.Add(linger/2)) {
		t.Fatal("the second does not")
	}
	wantDue(t, o, begin.Add(linger))
	wantNothing(t, o, begin.Add(linger-1))
	wantIDs(t, o.take(begin.Add(linger)), "a", "b")
	if !o.empty() {
		t.Fatal("what was taken is still there")
	}
}

func TestOutboxSendsAHundredAtOnce(t *testing.T) {
	o := testOutbox()
	ids := idsUpTo(101)
	for i, id := range ids {
		isNearer := o.add(ack, id, begin)
		if want := i == 0 || i == 99; isNearer != want {
			t.Fatalf("the one numbered %d brings due nearer: %v", i+1, isNearer)
		}
		if i < 99 {
			wantNothing(t, o, begin)
		}
	}
	wantIDs(t, o.take(begin), ids...)
}

func TestOutboxHasAtMostAThousandInACall(t *testing.T) {
	o := testOutbox()
	ids := idsUpTo(2001)
	o.addAll(ack, ids, begin)
	wantIDs(t, o.take(begin), ids[:1000]...)
	o.addAll(ack, []string{"more"}, begin)
	wantIDs(t, o.take(begin), ids[1000:2000]...)
	wantIDs(t, o.take(begin), ids[2000], "more")
	wantNothing(t, o, begin)
}

func TestOutboxTakesWhatIsDueForLongest(t *testing.T) {
	o := testOutbox()
	o.addAll(ack, []string{"a"}, begin.Add(2))
	o.addAll(retry, []string{"b"}, begin.Add(1))
	o.addAll(update{kind: kindDeadLetter, reason: "x"}, []string{"c"}, begin)
	o.addAll(update{kind: kindDeadLetter, reason: "y"}, []string{"d"}, begin.Add(3))
	for _, want := range []string{"c", "b", "a", "d"} {
		wantIDs(t, o.take(begin.Add(time.Second)), want)
	}
}

func TestOutboxInAHurryWaitsForNothing(t *testing.T) {
	o := testOutbox()
	o.add(ack, "a", begin)
	o.hurry(begin)
	wantIDs(t, o.take(begin), "a")
	o.add(ack, "b", begin)
	wantIDs(t, o.take(begin), "b")
}

func TestOutboxTellsOfAcksWithoutEffect(t *testing.T) {
	o := testOutbox()
	failures := []*mmsmov1.AckFailure{failureOf("a", expired), failureOf("b", invalid)}
	for _, u := range []update{ack, {kind: kindDeadLetter, reason: "x"}} {
		failed := o.onAnswer(&updateCall{u, []string{"a", "b", "c"}}, nil, failures, begin)
		want := []failedUpdate{{"a", ErrAckExpired}, {"b", ErrAckInvalid}}
		if !slices.Equal(failed, want) {
			t.Errorf("failed: %v, want %v", failed, want)
		}
	}
	for _, u := range []update{retry, extend, {kind: kindRelease}, {kind: kindRedeliver}} {
		if failed := o.onAnswer(&updateCall{u, []string{"a", "b"}}, nil, failures, begin); failed != nil {
			t.Errorf("%+v: %v is told, although its event comes again anyway", u, failed)
		}
	}
	if !o.empty() {
		t.Error("something is tried again")
	}
}

func TestOutboxTriesAgainWhatMayPass(t *testing.T) {
	o := testOutbox()
	if failed := o.onAnswer(&updateCall{ack, []string{"a", "b"}}, nil,
		[]*mmsmov1.AckFailure{failureOf("b", passing)}, begin); failed != nil {
		t.Fatal(failed)
	}
	wantDue(t, o, begin.Add(100*time.Millisecond))
	o.add(ack, "c", begin) // waits with it
	wantNothing(t, o, begin.Add(99*time.Millisecond))
	now := begin.Add(100 * time.Millisecond)
	wantIDs(t, o.take(now), "b", "c")

	for _, code := range []codes.Code{codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.Unknown, codes.ResourceExhausted} {
		o = testOutbox()
		if failed := o.onAnswer(&updateCall{ack, []string{"a"}}, status.Error(code, "x"), nil, begin); failed != nil {
			t.Fatal(code, failed)
		}
		wantIDs(t, o.take(now), "a")
	}
}

func TestOutboxWaitsLongerFromFailureToFailure(t *testing.T) {
	o := testOutbox()
	unavailable := status.Error(codes.Unavailable, "x")
	now := begin
	for _, wait := range []time.Duration{100, 200, 400, 400} {
		// Two calls that were under way together are one failure.
		o.onAnswer(&updateCall{ack, []string{"a"}}, unavailable, nil, now)
		o.onAnswer(&updateCall{ack, []string{"b"}}, unavailable, nil, now)
		wantDue(t, o, now.Add(wait*time.Millisecond))
		now = now.Add(wait * time.Millisecond)
		wantIDs(t, o.take(now), "a", "b")
	}
	o.onAnswer(&updateCall{ack, []string{"a", "b"}}, nil, nil, now)
	o.onAnswer(&updateCall{ack, []string{"c"}}, unavailable, nil, now)
	wantDue(t, o, now.Add(100*time.Millisecond))
}

func TestOutboxHeedsWhatTheGatewayAsksFor(t *testing.T) {
	o := testOutbox()
	busy, err := status.New(codes.Unavailable, "x").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(3 * time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	o.onAnswer(&updateCall{ack, []string{"a"}}, busy.Err(), nil, begin)
	wantDue(t, o, begin.Add(3*time.Second+100*time.Millisecond))
}

func TestOutboxGivesUpWhatCannotPass(t *testing.T) {
	for _, code := range []codes.Code{codes.NotFound, codes.PermissionDenied, codes.InvalidArgument, codes.Unauthenticated} {
		o := testOutbox()
		why := status.Error(code, "x")
		failed := o.onAnswer(&updateCall{ack, []string{"a", "b"}}, why, nil, begin)
		if len(failed) != 2 || failed[1].ackID != "b" || !errors.Is(failed[1].why, why) {
			t.Errorf("%v: failed: %v", code, failed)
		}
		if failed := o.onAnswer(&updateCall{retry, []string{"c"}}, why, nil, begin); failed != nil {
			t.Errorf("%v: failed: %v", code, failed)
		}
		if !o.empty() {
			t.Errorf("%v: something is tried again", code)
		}
	}
}
