package main

import (
	"os"
	"time"

	mmsmo "github.com/mmsmo/mmsmo-gateway/client/go"
)

// rule says what the handler does with a delivery. What is absent matches anything.
type rule struct {
	ID      string `json:"id"`
	Attempt int    `json:"attempt"`
	Verdict string `json:"verdict"`
	AfterMs int64  `json:"after_ms"`
	Reason  string `json:"reason"`
	WorkMs  int64  `json:"work_ms"`
	Hold    bool   `json:"hold"`
}

// ruleFor is the first that matches; none: an acknowledgement.
func ruleFor(plan []rule, id string, attempt int) rule {
	for _, r := range plan {
		if (r.ID == "" || r.ID == id) && (r.Attempt == 0 || r.Attempt == attempt) {
			return r
		}
	}
	return rule{}
}

func (r rule) verdict() mmsmo.Verdict {
	switch r.Verdict {
	case "retry":
		return mmsmo.Retry()
	case "retry_after":
		return mmsmo.RetryAfter(time.Duration(r.AfterMs) * time.Millisecond)
	case "dead_letter":
		return mmsmo.DeadLetter(r.Reason)
	case "exit":
		os.Exit(3)
	}
	return mmsmo.Ack()
}
