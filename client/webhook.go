package client

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"time"
)

// ErrSignature is returned when a webhook is not from who has the key, or is
// too old to be believed.
var ErrSignature = errors.New("the webhook's signature is not good")

// VerifyWebhook checks the header Greenroom-Signature of a webhook against its
// body, as it came, and the key that the fleet signs with. It returns
// ErrSignature also when it was sent more than tolerance before or after now,
// so that what somebody has seen once cannot be sent again; 5 minutes will do.
func VerifyWebhook(key, header string, body []byte, now time.Time, tolerance time.Duration) error {
	t, sum, ok := strings.Cut(strings.TrimPrefix(header, "t="), ",v1=")
	unix, err := strconv.ParseInt(t, 10, 64)
	got, err2 := hex.DecodeString(sum)
	if !ok || err != nil || err2 != nil {
		return ErrSignature
	}
	if age := now.Sub(time.Unix(unix, 0)); age > tolerance || age < -tolerance {
		return ErrSignature
	}
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(t + "."))
	mac.Write(body)
	if !hmac.Equal(got, mac.Sum(nil)) {
		return ErrSignature
	}
	return nil
}
