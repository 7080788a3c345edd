// What many would write in Go: net/http and encoding/xml take the postback, it becomes a typed message, and body and
// message are in a file, synced, before the answer; grpc-go streams the messages, one a frame. One fdatasync for all
// that arrived during the last one. Usage: main HTTP-ADDRESS GRPC-ADDRESS FILE
package main

import (
	"encoding/binary"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	mmsmov1 "github.com/mmsmo/mmsmo-gateway/gen/go/mmsmo/v1"
)

type postback struct {
	Origin     string   `xml:"origin" json:"origin"`
	Code       string   `xml:"code" json:"code"`
	From       string   `xml:"from" json:"from"`
	To         string   `xml:"to" json:"to"`
	Keyword    string   `xml:"keyword" json:"keyword"`
	TrackingID string   `xml:"tracking-id" json:"tracking-id"`
	OperatorID string   `xml:"operator-id" json:"operator-id"`
	Timestamp  string   `xml:"timestamp" json:"timestamp"`
	Subject    string   `xml:"message-subject" json:"message-subject"`
	Files      []string `xml:"content>file" json:"-"`
	Content    []struct {
		File string `json:"file"`
	} `xml:"-" json:"content"`
}

func decode(contentType string, body []byte) (*postback, error) {
	var p postback
	var err error
	if strings.Contains(contentType, "json") {
		err = json.Unmarshal(body, &p)
		for _, entry := range p.Content {
			p.Files = append(p.Files, entry.File)
		}
	} else {
		err = xml.Unmarshal(body, &p)
	}
	if err == nil && (p.TrackingID == "" || p.From == "" || p.To == "") {
		err = errors.New("a field is missing")
	}
	return &p, err
}

func address(value string) *mmsmov1.Address {
	digits := strings.TrimPrefix(value, "+")
	if _, err := strconv.ParseUint(digits, 10, 64); err != nil {
		return &mmsmov1.Address{Value: value, Kind: mmsmov1.AddressKind_ADDRESS_KIND_EMAIL}
	}
	if len(digits) <= 6 {
		return &mmsmov1.Address{Value: value, Kind: mmsmov1.AddressKind_ADDRESS_KIND_SHORT_CODE}
	}
	return &mmsmov1.Address{Value: value, E164: "+" + digits, Kind: mmsmov1.AddressKind_ADDRESS_KIND_LONG_CODE}
}

var mediaKinds = map[string]mmsmov1.MediaKind{
	".jpg": mmsmov1.MediaKind_MEDIA_KIND_IMAGE, ".png": mmsmov1.MediaKind_MEDIA_KIND_IMAGE,
	".gif": mmsmov1.MediaKind_MEDIA_KIND_IMAGE, ".mp4": mmsmov1.MediaKind_MEDIA_KIND_VIDEO,
	".3gp": mmsmov1.MediaKind_MEDIA_KIND_VIDEO, ".mp3": mmsmov1.MediaKind_MEDIA_KIND_AUDIO,
	".amr": mmsmov1.MediaKind_MEDIA_KIND_AUDIO, ".txt": mmsmov1.MediaKind_MEDIA_KIND_TEXT,
	".smil": mmsmov1.MediaKind_MEDIA_KIND_SMIL,
}

func normalise(p *postback) *mmsmov1.MmsMo {
	message := &mmsmov1.MmsMo{
		Origin: p.Origin, Code: p.Code, TrackingId: p.TrackingID, Sender: address(p.From), Recipient: address(p.To),
		Keyword: p.Keyword, OperatorId: p.OperatorID, Timestamp: p.Timestamp, Subject: p.Subject,
	}
	if at, err := time.Parse(time.RFC3339Nano, p.Timestamp); err == nil {
		message.ReceiveTime = timestamppb.New(at)
	}
	for _, url := range p.Files {
		kind, known := mediaKinds[strings.ToLower(path.Ext(url))]
		if !known {
			kind = mmsmov1.MediaKind_MEDIA_KIND_OTHER
		}
		message.Media = append(message.Media, &mmsmov1.Media{Url: url, Kind: kind})
	}
	return message
}

// What waits for the next sync, and what one sync takes.
type group struct {
	records []byte
	events  []*mmsmov1.Event
	done    chan struct{}
	err     error
}

type journal struct {
	file *os.File

	mu      sync.Mutex
	arrived *sync.Cond
	next    *group
	ids     map[string]string // tracking id → cursor
	events  []*mmsmov1.Event  // synced
	grown   chan struct{}     // closed when events has grown
}

func newJournal(file *os.File) *journal {
	j := &journal{file: file, next: &group{done: make(chan struct{})}, ids: map[string]string{},
		grown: make(chan struct{})}
	j.arrived = sync.NewCond(&j.mu)
	go j.run()
	return j
}

// The cursor, and whether it is that of an event from before.
func (j *journal) add(message *mmsmov1.MmsMo, raw []byte) (cursor string, duplicate bool, err error) {
	j.mu.Lock()
	if cursor, duplicate = j.ids[message.TrackingId]; duplicate {
		j.mu.Unlock()
		return cursor, true, nil
	}
	cursor = strconv.Itoa(len(j.ids) + 1)
	event := &mmsmov1.Event{Cursor: cursor, AcceptTime: timestamppb.Now(), Endpoint: "mms-mo", MmsMo: message}
	bytes, err := proto.Marshal(event)
	if err != nil {
		j.mu.Unlock()
		return "", false, err
	}
	j.ids[message.TrackingId] = cursor
	g := j.next
	g.records = binary.AppendUvarint(g.records, uint64(len(bytes)))
	g.records = append(g.records, bytes...)
	g.records = binary.AppendUvarint(g.records, uint64(len(raw)))
	g.records = append(g.records, raw...)
	g.events = append(g.events, event)
	j.arrived.Signal()
	j.mu.Unlock()
	<-g.done
	return cursor, false, g.err
}

func (j *journal) run() {
	for {
		j.mu.Lock()
		for len(j.next.events) == 0 {
			j.arrived.Wait()
		}
		g := j.next
		j.next = &group{done: make(chan struct{})}
		j.mu.Unlock()
		if _, g.err = j.file.Write(g.records); g.err == nil {
			g.err = syscall.Fdatasync(int(j.file.Fd()))
		}
		if g.err == nil {
			j.mu.Lock()
			j.events = append(j.events, g.events...)
			close(j.grown)
			j.grown = make(chan struct{})
			j.mu.Unlock()
		}
		close(g.done)
	}
}

// The events after the first `position`, and what is closed when there are more.
func (j *journal) after(position int) ([]*mmsmov1.Event, <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.events[position:], j.grown
}

func (j *journal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := func(status int, fields map[string]string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(fields)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 256<<10))
	if err != nil {
		answer(http.StatusBadRequest, map[string]string{"outcome": "rejected", "detail": err.Error()})
		return
	}
	p, err := decode(r.Header.Get("Content-Type"), body)
	if err != nil {
		answer(http.StatusBadRequest, map[string]string{"outcome": "rejected", "detail": err.Error()})
		return
	}
	cursor, duplicate, err := j.add(normalise(p), body)
	switch {
	case err != nil:
		answer(http.StatusServiceUnavailable, map[string]string{"outcome": "rejected", "detail": err.Error()})
	case duplicate:
		answer(http.StatusOK, map[string]string{"outcome": "duplicate", "cursor": cursor})
	default:
		answer(http.StatusOK, map[string]string{"outcome": "accepted", "cursor": cursor})
	}
}

type service struct {
	mmsmov1.UnimplementedMmsMoServiceServer
	journal *journal
}

// From the earliest event on, without end.
func (s *service) Subscribe(_ *mmsmov1.SubscribeRequest, stream mmsmov1.MmsMoService_SubscribeServer) error {
	err := stream.Send(&mmsmov1.SubscribeResponse{
		Content: &mmsmov1.SubscribeResponse_Started{Started: &mmsmov1.Started{StreamId: "1"}}})
	position := 0
	for err == nil {
		events, grown := s.journal.after(position)
		for i := 0; i < len(events) && err == nil; i++ {
			err = stream.Send(&mmsmov1.SubscribeResponse{Cursor: events[i].Cursor,
				Content: &mmsmov1.SubscribeResponse_Batch{Batch: &mmsmov1.DeliveryBatch{
					Deliveries: []*mmsmov1.Delivery{{Attempt: 1, Event: events[i]}}}}})
		}
		if err == nil && position == 0 {
			err = stream.Send(&mmsmov1.SubscribeResponse{
				Content: &mmsmov1.SubscribeResponse_CaughtUp{CaughtUp: &mmsmov1.CaughtUp{}}})
		}
		position += len(events)
		if err == nil {
			select {
			case <-grown:
			case <-stream.Context().Done():
				err = stream.Context().Err()
			}
		}
	}
	return err
}

func main() {
	file, err := os.OpenFile(os.Args[3], os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		log.Fatal(err)
	}
	j := newJournal(file)
	listener, err := net.Listen("tcp", os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer()
	mmsmov1.RegisterMmsMoServiceServer(server, &service{journal: j})
	go func() { log.Fatal(server.Serve(listener)) }()
	http.Handle("POST /postbacks/mms-mo", j)
	log.Fatal(http.ListenAndServe(os.Args[1], nil))
}
