package gateway

import "time"

// Hop says where a request was seen.
type Hop string

// The hops.
const (
	Edge Hop = "edge" // it came from outside
	Mesh Hop = "mesh" // a service of the fleet made it
)

// Metrics is what the gateway counts for others to read. Releases are named
// without the number of a rebuilt view: r42, not r42.2.
type Metrics interface {
	// Flow returns the handles of requests to a service in a release's view.
	// It is asked once per service and stamp.
	Flow(service, release string) FlowMetrics
	// Unstamped counts a call outside the promise. Caller and callee are
	// services; reason is what route.Reason.String returns.
	Unstamped(caller, callee, reason string)
	// Late counts a call with the stamp of a view that has ended.
	Late(caller, callee string)
	// OwnError counts an answer that was greenroom's own, by its code.
	OwnError(code string)
}

// FlowMetrics counts the requests to one service in one release's view. It is
// called on the request path and must not block.
type FlowMetrics interface {
	Began()
	// Ended counts a request that Began. status is the answer's, 0 when the
	// answer was broken off. took is negative for a connection that changed
	// its protocol, whose duration is no latency.
	Ended(hop Hop, status int, took time.Duration)
}

type noMetrics struct{}

func (noMetrics) Flow(string, string) FlowMetrics  { return noFlow{} }
func (noMetrics) Unstamped(string, string, string) {}
func (noMetrics) Late(string, string)              {}
func (noMetrics) OwnError(string)                  {}

type noFlow struct{}

func (noFlow) Began()                        {}
func (noFlow) Ended(Hop, int, time.Duration) {}
