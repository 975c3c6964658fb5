package config

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/greenroom-dev/greenroom/api/v1alpha1"
	"github.com/greenroom-dev/greenroom/internal/fleet"
)

// maxPage bounds a page that is shown while the fleet is on hold, in bytes.
const maxPage = 256 << 10

// DefaultHold is how requests are held where a document does not say.
func DefaultHold() fleet.Hold {
	return fleet.Hold{
		MaxRequests: 1000, MaxBytes: 64 << 20, MaxWait: time.Minute, ResumeRate: 250, RetryAfter: 30 * time.Second,
		Message: "We are working on this right now. Please try again in a moment.",
	}
}

// hold completes and checks how requests are held, and reads its pages.
func (p *problems) hold(at path, h v1alpha1.EdgeHold) fleet.Hold {
	left := DefaultHold()
	out := fleet.Hold{
		MaxRequests: p.whole(at.field("maxRequests"), h.MaxRequests, left.MaxRequests, 1, 100_000),
		MaxBytes:    int64(p.whole(at.field("maxBytes"), h.MaxBytes, int(left.MaxBytes), 64<<10, 8<<30)),
		MaxWait:     p.duration(at.field("maxWait"), h.MaxWait, left.MaxWait, limits{time.Second, 10 * time.Minute}),
		ResumeRate:  p.whole(at.field("resumeRate"), h.ResumeRate, left.ResumeRate, 1, 100_000),
		RetryAfter:  p.duration(at.field("retryAfter"), h.RetryAfter, left.RetryAfter, limits{time.Second, day}),
		Message:     left.Message,
	}
	if h.Message != "" {
		out.Message = h.Message
	}
	if n := utf8.RuneCountInString(h.Message); n > 1000 {
		p.at(at.field("message"), "a longer text belongs on a page", "`message` has %d characters, and may have 1000", n)
	}
	page := at.field("page")
	out.HTML = p.page(page, "html", h.Page.HTML, h.Page.HTMLFile)
	out.JSON = p.page(page, "json", h.Page.JSON, h.Page.JSONFile)
	if out.JSON != "" && !json.Valid([]byte(out.JSON)) {
		p.at(page, "", "the page for programs is not JSON")
	}
	for i, read := range h.Reads {
		one := p.routePath(at.field("reads").index(i), read)
		switch {
		case one == "":
			p.at(at.field("reads").index(i), "then every request would be a read; leave it out, or name a path", "`%s` is every path", cut(read))
		case slices.Contains(out.Reads, one):
			p.at(at.field("reads").index(i), "remove one of the two", "the path %s is given twice", cut(read))
		}
		out.Reads = append(out.Reads, one)
	}
	return out
}

// page is a page as it stands in the document, or in a file that it names.
func (p *problems) page(at path, field, text, file string) string {
	switch {
	case text != "" && file != "":
		p.at(at.field(field+"File"), "remove one of the two", "there are both `%s` and `%sFile`", field, field)
		return text
	case file == "":
	default:
		full := regular(p, at.field(field+"File"), file, p.src.dir)
		if full == "" {
			return ""
		}
		if info, err := os.Stat(full); err == nil && info.Size() > maxPage {
			p.at(at.field(field+"File"), "", "`%s` has %d bytes, and may have %d", cut(file), info.Size(), maxPage)
			return ""
		}
		data, err := os.ReadFile(full)
		if err != nil {
			p.at(at.field(field+"File"), "make it readable for the user that greenroom runs as", "the page cannot be read: %v", reason(err))
			return ""
		}
		text = string(data)
	}
	switch {
	case len(text) > maxPage:
		p.at(at.field(field), "", "`%s` has %d bytes, and may have %d", field, len(text), maxPage)
	case !utf8.ValidString(text):
		p.at(at, "write it in UTF-8", "the page is not UTF-8 text")
	}
	return strings.ToValidUTF8(text, "")
}

func exportHold(h fleet.Hold) v1alpha1.EdgeHold {
	if h.MaxRequests == 0 { // of a state that was written before there were holds
		return v1alpha1.EdgeHold{}
	}
	size := int(h.MaxBytes)
	return v1alpha1.EdgeHold{
		MaxRequests: &h.MaxRequests, MaxBytes: &size, MaxWait: v1alpha1.DurationOf(h.MaxWait), ResumeRate: &h.ResumeRate,
		RetryAfter: v1alpha1.DurationOf(h.RetryAfter), Message: h.Message,
		Page: v1alpha1.HoldPage{HTML: h.HTML, JSON: h.JSON}, Reads: slices.Clone(h.Reads),
	}
}
