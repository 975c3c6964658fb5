package client_test

import (
	"errors"
	"testing"
	"time"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/notify"
)

func TestVerifyWebhook(t *testing.T) {
	now, body := time.Unix(1_790_000_000, 0), []byte(`{"id":"live-1"}`)
	good := notify.Sign("key", body, now)
	if err := client.VerifyWebhook("key", good, body, now.Add(4*time.Minute), 5*time.Minute); err != nil {
		t.Error(err)
	}
	for name, err := range map[string]error{
		"another key":  client.VerifyWebhook("kez", good, body, now, time.Minute),
		"another body": client.VerifyWebhook("key", good, []byte(`{"id":"live-2"}`), now, time.Minute),
		"too old":      client.VerifyWebhook("key", good, body, now.Add(6*time.Minute), 5*time.Minute),
		"from later":   client.VerifyWebhook("key", good, body, now.Add(-6*time.Minute), 5*time.Minute),
		"none":         client.VerifyWebhook("key", "", body, now, time.Minute),
		"no hex":       client.VerifyWebhook("key", "t=1790000000,v1=xyz", body, now, time.Minute),
		"empty sum":    client.VerifyWebhook("key", "t=1790000000,v1=", body, now, time.Minute),
		"another time": client.VerifyWebhook("key", "t=1790000001"+good[len("t=1790000000"):], body, now, time.Minute),
	} {
		if !errors.Is(err, client.ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
