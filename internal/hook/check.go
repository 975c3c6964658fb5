package hook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/greenroom-dev/greenroom/internal/fleet"
)

// check asks the edge as a holder of the pass. A redirect is an answer like
// any other and not followed: the pass must not come to another host.
func (r *Runner) check(ctx context.Context, h fleet.Hook, c Context, out *Output) error {
	method := h.HTTP.Method
	if method == "" {
		method = http.MethodGet
	}
	what := method + " " + h.HTTP.Path
	req, err := http.NewRequestWithContext(ctx, method, c.EdgeURL+h.HTTP.Path, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	req.Header.Set(PassHeader, c.Pass)
	client := &http.Client{
		Transport:     r.transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("%s: %w", what, becauseOf(ctx, err))
	}
	defer res.Body.Close()
	fmt.Fprintf(out, "%s: %s\n", what, res.Status)
	// What is beyond twice MaxOutput is read by nobody.
	if _, err := io.Copy(out, io.LimitReader(res.Body, 2*MaxOutput)); err != nil {
		return fmt.Errorf("%s: reading the answer: %w", what, becauseOf(ctx, err))
	}
	want := h.HTTP.Status
	switch {
	case res.StatusCode == want, want == 0 && res.StatusCode/100 == 2:
		return nil
	case res.Header.Get("X-Greenroom-Error") != "":
		return fmt.Errorf("%s: the edge answered %s itself (%s)", what, res.Status, res.Header.Get("X-Greenroom-Error"))
	case want == 0:
		return fmt.Errorf("%s: answered %s, expected 2xx", what, res.Status)
	}
	return fmt.Errorf("%s: answered %s, expected %d", what, res.Status, want)
}

// becauseOf returns why ctx is done in place of an error that came of it.
func becauseOf(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var u *url.Error
	if errors.As(err, &u) { // says the method and the address again
		return u.Err
	}
	return err
}
