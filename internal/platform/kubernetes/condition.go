package kubernetes

import (
	"slices"
	"strings"
)

// Condition is something in the way, and what to do about it.
type Condition struct {
	Type    string // one of the types below
	Object  string // what it is about: a service, a Rollout, an object by kind and name
	Message string // what is the matter, as a sentence
	Remedy  string // what to do
	Blocks  bool   // no release is promoted while it is there
	Release string // the only one that it speaks against; "": all of them
}

// The types of conditions. Each is a name that people look up in the docs.
const (
	ServiceMissing         = "ServiceMissing"
	RolloutMissing         = "RolloutMissing"
	PodsUnknown            = "PodsUnknown"
	ForeignVirtualService  = "ForeignVirtualService"
	PassesBlocked          = "PassesBlocked"
	CanaryStrategy         = "CanaryStrategy"
	AutoPromotion          = "AutoPromotion"
	PreviewTooSmall        = "PreviewTooSmall"
	ScaleDownDelayTooShort = "ScaleDownDelayTooShort"
	TemplateChanged        = "TemplateChanged"
	NotPreviewed           = "NotPreviewed"
	RollbackNeedsRevert    = "RollbackNeedsRevert"
	PromotedByHand         = "PromotedByHand"
	RolloutPaused          = "RolloutPaused"
	RolloutDegraded        = "RolloutDegraded"
	SeveralPreviews        = "SeveralPreviews"
	NoPreview              = "NoPreview"
	ImageDiffers           = "ImageDiffers"
	SidecarMissing         = "SidecarMissing"
	ActiveDiffers          = "ActiveDiffers"
	TooLarge               = "TooLarge"
	Invalid                = "Invalid"
	StateMissing           = "StateMissing"
	Refused                = "Refused"
	DeletionWaits          = "DeletionWaits"
	NotApplied             = "NotApplied"
	BreakGlass             = "BreakGlass"
	GuardMissing           = "GuardMissing"
)

// sortConditions puts conditions into one order, without repetitions.
func sortConditions(list []Condition) []Condition {
	slices.SortFunc(list, func(a, b Condition) int {
		return strings.Compare(a.Type+"\x00"+a.Object+"\x00"+a.Message, b.Type+"\x00"+b.Object+"\x00"+b.Message)
	})
	return slices.Compact(list)
}

// Against are the conditions that speak against promoting a release.
func Against(name string, list []Condition) []Condition {
	var out []Condition
	for _, c := range list {
		if c.Blocks && (c.Release == "" || c.Release == name) {
			out = append(out, c)
		}
	}
	return out
}

// Summary is all conditions of one type as status shows them.
type Summary struct {
	Type    string
	Message string
	Blocks  bool // all releases
}

// Summarise joins conditions by type, in the order of the types.
func Summarise(list []Condition) []Summary {
	var out []Summary
	for _, c := range sortConditions(slices.Clone(list)) {
		text := c.Object + ": " + c.Message
		if c.Remedy != "" {
			text += " " + c.Remedy
		}
		blocks := c.Blocks && c.Release == ""
		if n := len(out); n > 0 && out[n-1].Type == c.Type {
			out[n-1].Message += "\n" + text
			out[n-1].Blocks = out[n-1].Blocks || blocks
			continue
		}
		out = append(out, Summary{Type: c.Type, Message: text, Blocks: blocks})
	}
	return out
}
