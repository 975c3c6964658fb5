// Command proxies measures what a request costs in greenroom's gateway, beside
// nginx, HAProxy, Envoy, Caddy, a proxy on fasthttp and Go's own ReverseProxy.
//
// One core is the proxy's; the load and the services share another. All proxies
// get the same requests from the same generator and the same backend, in rounds
// that go from one to the next, so that a machine that becomes slower does so
// for all. Processor time is the kernel's account of the proxy's processes, and
// latencies at a given rate count from when a request was due, not from when it
// could be sent, so that a proxy that stalls does not hide it.
//
// It owns no part of greenroom and runs the program as users do. The peers'
// configurations are in ../peers. Run it by `make bench-proxies` or
//
//	go run ./bench/proxies -rounds 3 -seconds 1.5
//
// With -cases it asks some questions only, and what is there of the others
// stays: bench/results.json holds all of it, RESULTS.md and the plot are made
// of that.
//
// Readers start at compare in main.go; cases.go says what is asked, peers.go and
// greenroom.go of whom.
package main
