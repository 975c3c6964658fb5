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
)

// sortConditions puts conditions into one order, without repetitions.
func sortConditions(list []Condition) []Condition {
	slices.SortFunc(list, func(a, b Condition) int {
		return strings.Compare(a.Type+"\x00"+a.Object+"\x00"+a.Message, b.Type+"\x00"+b.Object+"\x00"+b.Message)
	})
	return slices.Compact(list)
}

// Summary is all conditions of one type as status shows them.
type Summary struct {
	Type    string
	Message string
	Blocks  bool
}

// Summarise joins conditions by type, in the order of the types.
func Summarise(list []Condition) []Summary {
	var out []Summary
	for _, c := range sortConditions(slices.Clone(list)) {
		text := c.Object + ": " + c.Message
		if c.Remedy != "" {
			text += " " + c.Remedy
		}
		if n := len(out); n > 0 && out[n-1].Type == c.Type {
			out[n-1].Message += "\n" + text
			out[n-1].Blocks = out[n-1].Blocks || c.Blocks
			continue
		}
		out = append(out, Summary{Type: c.Type, Message: text, Blocks: c.Blocks})
	}
	return out
}
