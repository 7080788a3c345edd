package mmsmo_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/durationpb"

	mmsmo "github.com/mmsmo/mmsmo-gateway/client/go"
	"github.com/mmsmo/mmsmo-gateway/client/go/mmsmov1"
)

type stream = grpc.ServerStreamingServer[mmsmov1.SubscribeResponse]

// scripted is a gateway that does what a real one does seldom.
type scripted struct {
	mmsmov1.UnimplementedMmsMoServiceServer
	target string

	subscribe   func(*mmsmov1.SubscribeRequest, stream) error
	acknowledge func(context.Context, *mmsmov1.AcknowledgeRequest) (*mmsmov1.AcknowledgeResponse, error)

	modify func(*mmsmov1.ModifyAckDeadlineRequest) error

	mu       sync.Mutex
	modified []*mmsmov1.ModifyAckDeadlineRequest
}

func (s *scripted) Subscribe(request *mmsmov1.SubscribeRequest, out stream) error {
	return s.subscribe(request, out)
}

func (s *scripted) Acknowledge(ctx context.Context, request *mmsmov1.AcknowledgeRequest) (*mmsmov1.AcknowledgeResponse, error) {
	if s.acknowledge == nil {
		return &mmsmov1.AcknowledgeResponse{}, nil
	}
	return s.acknowledge(ctx, request)
}

func (s *scripted) ModifyAckDeadline(_ context.Context, request *mmsmov1.ModifyAckDeadlineRequest) (*mmsmov1.ModifyAckDeadlineResponse, error) {
	s.mu.Lock()
	s.modified = append(s.modified, request)
	s.mu.Unlock()
	if s.modify != nil {
		if err := s.modify(request); err != nil {
			return nil, err
		}
	}
	return &mmsmov1.ModifyAckDeadlineResponse{}, nil
}

func newScripted(t *testing.T) *scripted {
	t.Helper()
	wantNoLeaks(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &scripted{target: listener.Addr().String()}
	s.subscribe = func(_ *mmsmov1.SubscribeRequest, out stream) error { return s.deliver(out, "a") }
	server := grpc.NewServer()
	mmsmov1.RegisterMmsMoServiceServer(server, s)
	served := make(chan error)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		<-served
	})
	return s
}

func startedFrame() *mmsmov1.SubscribeResponse {
	return &mmsmov1.SubscribeResponse{Content: &mmsmov1.SubscribeResponse_Started{Started: &mmsmov1.Started{
		StreamId: "stream", HeartbeatInterval: durationpb.New(time.Minute), AckDeadline: durationpb.New(time.Minute),
	}}}
}

func batchFrame(ackIDs ...string) *mmsmov1.SubscribeResponse {
	batch := &mmsmov1.DeliveryBatch{}
	for _, ackID := range ackIDs {
		event := &mmsmov1.Event{MmsMo: &mmsmov1.MmsMo{TrackingId: ackID}}
		batch.Deliveries = append(batch.Deliveries, &mmsmov1.Delivery{AckId: ackID, Attempt: 1, Event: event})
	}
	return &mmsmov1.SubscribeResponse{Content: &mmsmov1.SubscribeResponse_Batch{Batch: batch}}
}

// deliver sends one delivery, and waits for the stream's end.
func (s *scripted) deliver(out stream, ackIDs ...string) error {
	for _, frame := range []*mmsmov1.SubscribeResponse{startedFrame(), batchFrame(ackIDs...)} {
		if err := out.Send(frame); err != nil {
			return err
		}
	}
	<-out.Context().Done()
	return nil
}

func busy(t *testing.T, wait time.Duration) error {
	t.Helper()
	answer, err := status.New(codes.Unavailable, "busy").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(wait)})
	if err != nil {
		t.Fatal(err)
	}
	return answer.Err()
}

func TestAcknowledgementsWaitAsLongAsTheGatewayAsks(t *testing.T) {
	s := newScripted(t)
	const wait = 200 * time.Millisecond
	calls := make(chan time.Time, 2)
	s.acknowledge = func(context.Context, *mmsmov1.AcknowledgeRequest) (*mmsmov1.AcknowledgeResponse, error) {
		calls <- time.Now()
		if len(calls) == 1 {
			return nil, busy(t, wait)
		}
		return &mmsmov1.AcknowledgeResponse{}, nil
	}
	c := consume(t, mmsmo.Options{Target: s.target}, nil)
	until(t, "it is acknowledged", func() bool { return len(calls) == 2 })
	if took := -(<-calls).Sub(<-calls); took < wait {
		t.Errorf("it was tried again after %v", took)
	}
	c.subscriber.Stop(mmsmo.Finish, patience)
	c.wantEnd(isNil)
}

func TestStreamsWaitAsLongAsTheGatewayAsks(t *testing.T) {
	s := newScripted(t)
	const wait = 200 * time.Millisecond
	calls := make(chan time.Time, 2)
	s.subscribe = func(_ *mmsmov1.SubscribeRequest, out stream) error {
		calls <- time.Now()
		if len(calls) == 1 {
			return busy(t, wait)
		}
		return s.deliver(out, "a")
	}
	consume(t, mmsmo.Options{Target: s.target}, nil)
	until(t, "it is tried again", func() bool { return len(calls) == 2 })
	if took := -(<-calls).Sub(<-calls); took < wait {
		t.Errorf("it was tried again after %v", took)
	}
}

func TestAcknowledgementsAreTriedUntilKnown(t *testing.T) {
	s := newScripted(t)
	s.subscribe = func(_ *mmsmov1.SubscribeRequest, out stream) error {
		return s.deliver(out, "good", "passing", "expired", "invalid")
	}
	var times atomic.Int64
	s.acknowledge = func(_ context.Context, request *mmsmov1.AcknowledgeRequest) (*mmsmov1.AcknowledgeResponse, error) {
		answer := &mmsmov1.AcknowledgeResponse{}
		for _, ackID := range request.GetAckIds() {
			reason := map[string]mmsmov1.AckFailureReason{
				"passing": mmsmov1.AckFailureReason_ACK_FAILURE_REASON_TRANSIENT,
				"expired": mmsmov1.AckFailureReason_ACK_FAILURE_REASON_EXPIRED,
				"invalid": mmsmov1.AckFailureReason_ACK_FAILURE_REASON_INVALID,
			}[ackID]
			if ackID == "passing" && times.Add(1) == 3 {
				continue
			}
			if reason != mmsmov1.AckFailureReason_ACK_FAILURE_REASON_UNSPECIFIED {
				answer.Failures = append(answer.Failures, &mmsmov1.AckFailure{AckId: ackID, Reason: reason})
			}
		}
		return answer, nil
	}
	c := consume(t, mmsmo.Options{Target: s.target}, nil)
	until(t, "all are handled", func() bool { return c.handled() == 4 })
	c.subscriber.Stop(mmsmo.Finish, patience)
	c.wantEnd(isNil)
	if times.Load() != 3 {
		t.Errorf("what may pass was tried %d times", times.Load())
	}
	if len(c.failedAcks) != 2 || c.subscriber.Stats().FailedAcks != 2 || !errors.Is(c.failedAcks["expired"], mmsmo.ErrAckExpired) ||
		!errors.Is(c.failedAcks["invalid"], mmsmo.ErrAckInvalid) {
		t.Errorf("failed: %v", c.failedAcks)
	}
}

func TestAFrameOfAnUnknownKindIsIgnored(t *testing.T) {
	s := newScripted(t)
	s.subscribe = func(_ *mmsmov1.SubscribeRequest, out stream) error {
		unknown := &mmsmov1.SubscribeResponse{}
		unknown.ProtoReflect().SetUnknown(protowire.AppendBytes(protowire.AppendTag(nil, 99, protowire.BytesType), []byte("x")))
		for _, frame := range []*mmsmov1.SubscribeResponse{startedFrame(), unknown, batchFrame("a")} {
			if err := out.Send(frame); err != nil {
				return err
			}
		}
		<-out.Context().Done()
		return nil
	}
	c := consume(t, mmsmo.Options{Target: s.target}, nil)
	until(t, "what comes after it is handled", func() bool { return c.handled() == 1 })
	c.subscriber.Stop(mmsmo.Finish, patience)
	c.wantEnd(isNil)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.modified) != 1 || s.modified[0].GetStreamId() != "stream" || s.modified[0].GetReceivedFrames() != 3 ||
		s.modified[0].GetRelease() == nil {
		t.Errorf("it left so: %v", s.modified)
	}
}

func TestWhatComesAfterAStopWasNotReceived(t *testing.T) {
	s := newScripted(t)
	more := make(chan struct{})
	s.subscribe = func(_ *mmsmov1.SubscribeRequest, out stream) error {
		for _, frame := range []*mmsmov1.SubscribeResponse{startedFrame(), batchFrame("in hand")} {
			if err := out.Send(frame); err != nil {
				return err
			}
		}
		<-more
		for range 100 {
			if err := out.Send(batchFrame("late")); err != nil {
				return err
			}
		}
		<-out.Context().Done()
		return nil
	}
	var leaves atomic.Int64
	s.modify = func(*mmsmov1.ModifyAckDeadlineRequest) error {
		switch leaves.Add(1) {
		case 1:
			close(more)
			return status.Error(codes.Unavailable, "again")
		case 2, 3, 4:
			return status.Error(codes.Unavailable, "again")
		}
		return nil
	}
	c := consume(t, mmsmo.Options{Target: s.target, MinBackoff: 50 * time.Millisecond, MaxBackoff: 50 * time.Millisecond}, nil)
	until(t, "it has arrived", func() bool { return c.handled() == 1 })
	c.subscriber.Stop(mmsmo.Finish, patience)
	c.wantEnd(isNil)
	for _, request := range s.modified {
		if request.GetStreamId() != "stream" || request.GetReceivedFrames() != 2 {
			t.Errorf("it left so: %v", request)
		}
	}
	if leaves.Load() != 5 || c.handled() != 1 {
		t.Errorf("it left %d times, and handled %d", leaves.Load(), c.handled())
	}
}

func TestALargeFrameArrives(t *testing.T) {
	s := newScripted(t)
	large := strings.Repeat("x", 3900<<10)
	s.subscribe = func(_ *mmsmov1.SubscribeRequest, out stream) error { return s.deliver(out, large) }
	c := consume(t, mmsmo.Options{Target: s.target}, nil)
	until(t, "it is handled", func() bool { return c.handled() == 1 })
	if c.attempts[large] == nil {
		t.Error("it is another")
	}
}

func TestATokenThatWasExchangedIsTriedAgain(t *testing.T) {
	s := newScripted(t)
	s.subscribe = func(_ *mmsmov1.SubscribeRequest, out stream) error {
		shown := metadata.ValueFromIncomingContext(out.Context(), "authorization")
		if len(shown) != 1 || shown[0] != "Bearer new" {
			return status.Error(codes.Unauthenticated, "no")
		}
		return s.deliver(out, "a")
	}
	var calls atomic.Int64
	exchanged := func(context.Context) (string, error) {
		if calls.Add(1) <= 2 { // the first look, and the first call
			return "old", nil
		}
		return "new", nil
	}
	c := consume(t, mmsmo.Options{Target: s.target, Token: exchanged}, nil)
	until(t, "it is handled", func() bool { return c.handled() == 1 })
	if len(c.disconnected) != 1 {
		t.Errorf("it was refused %d times", len(c.disconnected))
	}
	consume(t, mmsmo.Options{Target: s.target, Token: mmsmo.Token("old")}, nil).wantEnd(hasCode(codes.Unauthenticated))
	consume(t, mmsmo.Options{Target: s.target}, nil).wantEnd(hasCode(codes.Unauthenticated))
}

func TestATokenSourceThatFailsIsAskedAgain(t *testing.T) {
	s := newScripted(t)
	var calls atomic.Int64
	source := func(context.Context) (string, error) {
		if calls.Add(1) <= 4 {
			return "", errors.New("the vault is sealed")
		}
		return "x", nil
	}
	c := consume(t, mmsmo.Options{Target: s.target, Token: source}, nil)
	until(t, "it is handled", func() bool { return c.handled() == 1 })
	if len(c.disconnected) == 0 || status.Code(c.disconnected[0]) != codes.Unavailable {
		t.Errorf("disconnected: %v", c.disconnected)
	}
}

func TestFinalCodesEndTheRun(t *testing.T) {
	for _, code := range []codes.Code{
		codes.InvalidArgument, codes.NotFound, codes.PermissionDenied, codes.Unimplemented, codes.FailedPrecondition,
		codes.OutOfRange,
	} {
		t.Run(code.String(), func(t *testing.T) {
			s := newScripted(t)
			s.subscribe = func(*mmsmov1.SubscribeRequest, stream) error { return status.Error(code, "no") }
			consume(t, mmsmo.Options{Target: s.target}, nil).wantEnd(hasCode(code))
		})
	}
}

func TestOtherCodesAreTriedAgain(t *testing.T) {
	for _, code := range []codes.Code{codes.Unavailable, codes.Internal, codes.Aborted, codes.ResourceExhausted, codes.OK} {
		t.Run(code.String(), func(t *testing.T) {
			s := newScripted(t)
			var calls atomic.Int64
			s.subscribe = func(*mmsmov1.SubscribeRequest, stream) error {
				calls.Add(1)
				return status.Error(code, "for now")
			}
			c := consume(t, mmsmo.Options{Target: s.target}, nil)
			until(t, "it is tried three times", func() bool { return calls.Load() >= 3 })
			c.subscriber.Stop(mmsmo.Finish, patience)
			c.wantEnd(isNil)
		})
	}
}
