package edge

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/greenroom-dev/greenroom/internal/gateway"
	"github.com/greenroom-dev/greenroom/internal/gateway/field"
	"github.com/greenroom-dev/greenroom/internal/gateway/hold"
	"github.com/greenroom-dev/greenroom/internal/holdpage"
)

// heldBy says what the hold of q's snapshot makes of it. Holders of a pass go
// through, and so do those who call a callback address: they are of a preview.
func (q *request) heldBy(now time.Time) gateway.Verdict {
	if q.snapshot.Hold == nil || q.who.holder || q.who.callback {
		return gateway.GoOn
	}
	return q.snapshot.Hold.Judge(q.held(), now)
}

func (q *request) held() gateway.Held {
	return gateway.Held{Host: q.Host, Path: q.path, Method: q.Method}
}

// hold keeps a request waiting, or turns it away. Once it goes on, it is
// decided about anew: it gets the view of now, by what its sender may do now.
func (h *Handler) hold(w http.ResponseWriter, q *request) {
	if q.heldBy(h.gateway.Now()) == gateway.TurnedAway {
		gateway.BoundBody(w, q.raw, h.options.BodyStall)
		h.turnAway(w, q)
		return
	}
	body, err := h.wait(w, q)
	if body != nil {
		defer body.Stop(func() { http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0)) })
	}
	switch {
	case err == nil:
	case errors.Is(err, hold.ErrFull):
		h.refuseHeld(w, q, gateway.CodeHoldFull, "As many requests wait as may, or as many bytes of them. Try again when the hold is over.")
		return
	case errors.Is(err, hold.ErrTooLong):
		h.refuseHeld(w, q, gateway.CodeOnHold, "The request has waited as long as one may. Try again.")
		return
	case errors.Is(err, hold.ErrClosed):
		h.refuseHeld(w, q, gateway.CodeOnHold, "Greenroom ends before the hold does. The request was not sent; try again.")
		return
	default:
		q.written(gateway.StatusClientGone, gateway.CodeClientGone)
		panic(http.ErrAbortHandler)
	}
	way, problem := h.decide(q, q.peer(), h.gateway.Now())
	if way == held && q.heldBy(h.gateway.Now()) == gateway.WaitFirst {
		way = forward // it has waited, and would stand behind those that came later
	}
	h.answer(w, q, way, problem)
}

// wait returns when the request may go on. What of its body has come meanwhile
// is kept in the Body, which takes the body's place.
func (h *Handler) wait(w http.ResponseWriter, q *request) (*hold.Body, error) {
	length := q.raw.ContentLength
	t, err := h.gateway.Queue().Join(q.held(), headerBytes(q.raw)+max(0, length))
	if err != nil {
		return nil, err
	}
	var body *hold.Body
	if q.raw.Body != nil && q.raw.Body != http.NoBody {
		own := q.raw.WithContext(q.raw.Context())
		own.Trailer = q.raw.Trailer.Clone()
		body = hold.Keep(q.raw.Body, length, t.Grow)
		own.Body = &trailing{Body: body, from: q.raw, to: own}
		q.raw = own
	}
	err = t.Wait(q.raw.Context())
	if body != nil && err == nil {
		body.Go()
	}
	return body, err
}

// headerBytes is about what a request's header takes.
func headerBytes(r *http.Request) int64 {
	n := len(r.Method) + len(r.RequestURI) + len(r.Host)
	for name, values := range r.Header {
		for _, v := range values {
			n += len(name) + len(v) + 4
		}
	}
	return int64(n)
}

// trailing passes trailers on, at the end of a body, from the request that the
// server made, which is changed by whoever reads its body, to one of our own.
type trailing struct {
	*hold.Body
	from, to *http.Request
}

func (t *trailing) Read(p []byte) (int, error) {
	n, err := t.Body.Read(p)
	if err == io.EOF && len(t.from.Trailer) > 0 {
		t.to.Trailer = t.from.Trailer.Clone()
	}
	return n, err
}

// refuseHeld says why a request could not wait.
func (h *Handler) refuseHeld(w http.ResponseWriter, q *request, code gateway.Code, detail string) {
	p := gateway.Problem{Code: code, Detail: detail}
	if now := h.gateway.Current().Hold; now != nil {
		p.Retry = now.RetryAfter(h.gateway.Now())
	}
	if _, begun := q.raw.Body.(*trailing); begun && q.raw.ProtoMajor == 1 {
		w.Header().Set("Connection", "close") // nobody reads the rest of the body
	}
	h.refuse(w, q, p)
}

// turnAway says that the fleet is on hold, in the fleet's own words: as a page
// for people, for programs as JSON, and to gRPC in its own way.
func (h *Handler) turnAway(w http.ResponseWriter, q *request) {
	on := q.snapshot.Hold
	p := gateway.Problem{Code: gateway.CodeOnHold, Detail: on.Settings.Message, Retry: on.RetryAfter(h.gateway.Now())}
	kind, text := "text/html; charset=utf-8", holdpage.HTML(on.Settings.Message)
	switch page := on.Mode == gateway.HoldPage; {
	case q.IsGRPC(), !q.wantsHTML() && (!page || on.Settings.JSON == ""):
		h.refuse(w, q, p)
		return
	case !q.wantsHTML():
		kind, text = "application/json", on.Settings.JSON
	case page && on.Settings.HTML != "":
		text = on.Settings.HTML
	}
	header := w.Header()
	h.gateway.Mark(field.Map(header), p)
	header.Set("Content-Type", kind)
	header.Set("Content-Length", strconv.Itoa(len(text)))
	header.Set("Vary", "Accept")
	w.WriteHeader(p.Code.Status())
	if q.Method != http.MethodHead {
		io.WriteString(w, text)
	}
	q.written(p.Code.Status(), p.Code)
}
