package propagate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	statusVariable   = "GREENROOM_STATUS_URL"
	instanceVariable = "GREENROOM_INSTANCE"

	askTimeout   = 5 * time.Second
	leaveTries   = 3
	defaultLease = 10 * time.Second
	defaultRetry = time.Second
)

// usher asks greenroom's status listener who may be on stage:
//
//	POST $GREENROOM_STATUS_URL/stage {"instance":"…","epoch":7,"leave":false}
//
// where the epoch is the one held, or 0.
type usher struct {
	url      string
	instance string
	client   *http.Client
	log      *slog.Logger
}

type question struct {
	Instance string `json:"instance"`
	Epoch    uint64 `json:"epoch"`
	Leave    bool   `json:"leave"`
}

type answer struct {
	OnStage           bool    `json:"onStage"`
	Epoch             uint64  `json:"epoch"`
	LeaseSeconds      float64 `json:"leaseSeconds"`
	RetryAfterSeconds float64 `json:"retryAfterSeconds"`
	Release           string  `json:"release"`
	Reason            string  `json:"reason"`
}

func (a answer) lease() time.Duration      { return seconds(a.LeaseSeconds, defaultLease) }
func (a answer) retryAfter() time.Duration { return seconds(a.RetryAfterSeconds, defaultRetry) }

// seconds guards against an answer that would have the asker spin or sleep for
// ever.
func seconds(s float64, otherwise time.Duration) time.Duration {
	if s <= 0 || s > 3600 {
		return otherwise
	}
	return max(time.Duration(s*float64(time.Second)), 3*time.Millisecond)
}

// newUsher returns nil outside greenroom.
func newUsher(s settings) (*usher, error) {
	base := s.getenv(statusVariable)
	if base == "" {
		return nil, nil
	}
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%s is %q, want the URL that greenroom gives to a service; unset it to run outside greenroom", statusVariable, base)
	}
	instance := s.getenv(instanceVariable)
	if instance == "" {
		return nil, fmt.Errorf("%s is set but %s is not: pass both on to the worker, or neither", statusVariable, instanceVariable)
	}
	log := s.log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if s.term > 0 {
		instance += "+" + strconv.Itoa(s.term)
	}
	return &usher{
		url:      strings.TrimRight(base, "/") + "/stage",
		instance: instance,
		client: &http.Client{
			// Not http.DefaultTransport: neither a proxy from the environment nor a
			// wrapper around it belongs between a service and its greenroom.
			Transport: &http.Transport{MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute},
			Timeout:   askTimeout,
		},
		log: log,
	}, nil
}

// ask puts one question. Anything but a readable answer of status 200 is an
// error, and counts as no answer.
func (u *usher) ask(ctx context.Context, epoch uint64, leave bool) (answer, error) {
	body, err := json.Marshal(question{Instance: u.instance, Epoch: epoch, Leave: leave})
	if err != nil {
		return answer{}, fmt.Errorf("asking greenroom for the stage: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.url, bytes.NewReader(body))
	if err != nil {
		return answer{}, fmt.Errorf("asking greenroom for the stage: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := u.client.Do(req)
	if err != nil {
		return answer{}, fmt.Errorf("asking greenroom for the stage: %w", err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		return answer{}, fmt.Errorf("reading greenroom's answer about the stage: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return answer{}, fmt.Errorf("asking greenroom for the stage: it answered %s", res.Status)
	}
	var a answer
	if err := json.Unmarshal(raw, &a); err != nil {
		return answer{}, fmt.Errorf("reading greenroom's answer about the stage: %w", err)
	}
	return a, nil
}

// leave does not depend on the worker's context, which has usually ended by now.
func (u *usher) leave(epoch uint64) error {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	var errs []error
	for range leaveTries {
		_, err := u.ask(ctx, epoch, true)
		if err == nil {
			u.log.Info("left the stage", "epoch", epoch)
			u.client.CloseIdleConnections()
			return nil
		}
		errs = append(errs, err)
		pause(ctx, 200*time.Millisecond)
	}
	return fmt.Errorf("leaving the stage, the next version waits for the end of the lease: %w", errors.Join(errs...))
}
