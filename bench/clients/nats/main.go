// Command consume consumes and acknowledges so many messages of the stream benchstream with nats.go: consume URL COUNT.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func consume(url string, count int) (time.Duration, error) {
	connection, err := nats.Connect(url)
	if err != nil {
		return 0, err
	}
	defer connection.Close()
	stream, err := jetstream.New(connection)
	if err != nil {
		return 0, err
	}
	consumer, err := stream.CreateConsumer(context.Background(), "benchstream", jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 10_000})
	if err != nil {
		return 0, err
	}
	begin, handled, done := time.Now(), 0, make(chan error, 1)
	consuming, err := consumer.Consume(func(message jetstream.Msg) {
		err := message.Ack()
		if handled++; handled == count || err != nil {
			done <- err
		}
	}, jetstream.PullMaxMessages(10_000))
	if err != nil {
		return 0, err
	}
	defer consuming.Stop()
	if err := <-done; err != nil {
		return 0, err
	}
	return time.Since(begin), connection.Flush()
}

func main() {
	count, err := strconv.Atoi(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	took, err := consume(os.Args[1], count)
	if err != nil {
		log.Fatal(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(map[string]float64{"seconds": took.Seconds()}); err != nil {
		log.Fatal(err)
	}
}
