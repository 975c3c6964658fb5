package notify

import (
	"encoding/json"
	"fmt"
	"html"
	"strings"
)

// Usual are the types of events that a kind of receiver is told when it names
// none; none means all.
func Usual(kind string) []string {
	switch kind {
	case Slack:
		return []string{
			"ReleaseOpened", "ReleasePreviewing", "ReleaseFailed", "CanaryStarted", "ReleasePromoted", "ReleaseRolledBack",
			"ReleaseSettling", "ReleaseSettled", "ReleaseAborted", "ReleaseApproved", "ChecklistSigned", "HookFailed",
			"PromotionPlanned", "PromotionCancelled", "PromotionWaits", "PromotionMissed", "FleetLocked", "FleetUnlocked",
			"HoldBegan", "HoldEnded",
		}
	case Grafana:
		return []string{"ReleasePromoted", "ReleaseRolledBack"}
	}
	return nil
}

// Delivery is what a webhook gets, as JSON.
type Delivery struct {
	ID    string `json:"id"` // the same when it comes again
	Fleet string `json:"fleet"`
	URL   string `json:"url,omitempty"` // of the fleet
	Event Event  `json:"event"`
}

// idOf tells events apart, also those of a fleet that was begun anew.
func idOf(fleet string, e Event) string {
	return fmt.Sprintf("%s-%d-%x", fleet, e.Seq, e.Time.UnixNano())
}

// body is what a receiver is sent for an event, as JSON.
func (n *Notifier) body(r Receiver, e Event) ([]byte, error) {
	var v any
	switch r.Kind {
	case Slack:
		v = map[string]any{"text": slackText(n.o.Fleet, e)}
	case Grafana:
		tags := []string{"greenroom", n.o.Fleet, e.Type}
		if e.Release != "" {
			tags = append(tags, e.Release)
		}
		v = map[string]any{"time": e.Time.UnixMilli(), "tags": append(tags, r.Tags...), "text": html.EscapeString(plain(e))}
	default:
		v = Delivery{ID: idOf(n.o.Fleet, e), Fleet: n.o.Fleet, URL: n.o.Link(), Event: e}
	}
	data, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("write the message: %w", err)
	}
	return data, nil
}

// plain is an event in one sentence.
func plain(e Event) string {
	text := e.Message
	if e.Release != "" {
		text = e.Release + ": " + text
	}
	text += " (" + e.Who
	if e.Why != "" {
		text += ": " + e.Why
	}
	return text + ")"
}

// marks stand before the messages of what people look for.
var marks = map[string]string{
	"ReleasePromoted": "🟢", "ReleaseRolledBack": "🔴", "ReleaseFailed": "🔴", "HookFailed": "🔴", "PromotionMissed": "🔴", "PromotionWaits": "🟡",
}

// slackText is an event as Slack shows it. What people have written cannot
// become a link, or call a channel.
func slackText(fleet string, e Event) string {
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace
	var b strings.Builder
	if mark := marks[e.Type]; mark != "" {
		b.WriteString(mark + " ")
	}
	if e.Release != "" {
		fmt.Fprintf(&b, "*%s*: ", escape(e.Release))
	}
	fmt.Fprintf(&b, "%s _(%s", escape(e.Message), escape(e.Who))
	if e.Why != "" {
		b.WriteString(": " + escape(strings.ReplaceAll(e.Why, "\n", " ")))
	}
	fmt.Fprintf(&b, ", fleet %s)_", escape(fleet))
	return b.String()
}
