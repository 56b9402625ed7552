// Package network holds what is seen on the wire against what each device is
// declared to talk to, and says what is unusual.
//
// Ordinary use:
//
//	w, err := network.New(ctx, network.Config{Devices: declared, Raise: raise}, network.Parts{DB: db, Journal: ledger, Metrics: m, Log: log})
//	go w.Run(ctx)                         // writes what was seen, raises what is unusual
//	w.Observe(network.Flow{…})            // for each thing that a sensor sees; asks no disk, never waits
//	rows, err := w.Seen(ctx)              // who talks to whom
//	last, err := w.Alerts(ctx, 100)       // what was unusual
//
// Sensors are in the folders below: capture (a mirror port, or this host), eve
// (Suricata) and zeek. They report flows, claims of addresses, detections and
// names that were asked for. What counts as unusual is a table (rows.go), from
// which docs/network-rules.md is made.
//
// The life of an alert: a flow of a device is allowed by nothing that was
// declared; or a count over a short time passes its rule's threshold. The first
// one is raised at once. Further ones of the same device, rule and group of peers
// are counted, and told of a minute later at the earliest, unless they carry a
// better proof. An alert is on the ledger in the transaction that writes its row;
// the callback is not kept waiting for that.
//
// Anybody can send a packet in somebody else's name. So an alert carries a Proof
// that its device took part, and Acted, that it was the one who did it; only one
// with both may lead to anything being done to the device.
//
// Everything that is remembered is bounded, for each source and in all, so that
// one that makes up addresses displaces its own and nobody else's. It keeps no
// payload and no patient data. It will not block traffic (contain does) and will
// not ask any host anything.
package network
