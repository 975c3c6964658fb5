package forward

import (
	"net/http"
	"sync/atomic"
	"time"
)

// maxAnswerHeader bounds the header of an answer, in bytes.
const maxAnswerHeader = 1 << 20

// streamBuffer bounds, in bytes, what an HTTP/2 instance may send ahead on one
// stream of what its client has taken. Streams share a connection, of which Go
// bounds the sum at 1 GiB: with its default of 4 MiB, 256 clients who do not
// read take the memory, and then the service from everybody else.
const streamBuffer = 128 << 10

// expectContinue is how long a client that sent "Expect: 100-continue" waits for
// a service that does not answer it.
const expectContinue = time.Second

// instance is a ready Instance with its connections. Each has a transport of its
// own, so that instances share no lock, and one's connections can be closed
// without the others'.
type instance struct {
	Instance
	transport *http.Transport
	dialer    *dialer
	lanes     lanes

	load    atomic.Int64
	retired atomic.Bool
}

func newInstance(what Instance, p Protocol) *instance {
	d := newDialer(dialTimeout)
	t := &http.Transport{
		DisableCompression:     true,
		MaxIdleConnsPerHost:    idleConns,
		IdleConnTimeout:        idleTimeout,
		ExpectContinueTimeout:  expectContinue,
		MaxResponseHeaderBytes: maxAnswerHeader,
		Protocols:              new(http.Protocols),
	}
	if p == GRPC {
		t.Protocols.SetUnencryptedHTTP2(true)
		t.HTTP2 = &http.HTTP2Config{MaxReceiveBufferPerStream: streamBuffer}
		t.DialContext = d.dialShared
	} else {
		t.Protocols.SetHTTP1(true)
		t.DialContext = d.dial
	}
	return &instance{Instance: what, transport: t, dialer: d}
}

// acquire counts a request, unless the instance was retired.
func (i *instance) acquire() bool {
	i.load.Add(1)
	if i.retired.Load() {
		i.release()
		return false
	}
	return true
}

// release ends what acquire began. The last request on a retired instance takes
// the connections with it: none of them is in use any more.
func (i *instance) release() {
	if i.load.Add(-1) == 0 && i.retired.Load() {
		i.closeConns()
	}
}

// retire lets no further request begin. An acquire that is not seen here sees
// retired, and releases.
func (i *instance) retire() {
	i.retired.Store(true)
	i.transport.CloseIdleConnections()
	i.lanes.close()
	if i.load.Load() == 0 {
		i.closeConns()
	}
}

func (i *instance) closeConns() {
	i.transport.CloseIdleConnections()
	i.lanes.close()
	i.dialer.closeAll()
}
