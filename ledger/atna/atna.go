// Package atna tells audit repositories what happened: it renders the records
// of the ledger as audit messages (PS3.15 §A.5, IHE ATNA) and sends them by
// syslog, over TLS (RFC 5425) or UDP (RFC 5426); and as lines of JSON with the
// names of the Elastic Common Schema.
//
// Ordinary use:
//
//	target := atna.Target{Network: atna.TLS, Format: atna.Syslog, Address: "audit:6514", TLS: endpoint.Client}
//	a := atna.New(atna.Config{Node: node, Host: "gw1", Targets: []atna.Target{target}}, atna.Parts{DB: db, Ledger: l, Log: log})
//	err := a.Run(ctx)                // until ctx ends
//	repositories, err := a.Status(ctx) // who is away, and what waits
//
// Two tables say which records cause which messages: events (application
// activity, transfers, accesses, queries and so on) and alerts (110113, with the
// standard's type and one of our own, 99CORDON). A record that neither names has
// no message.
//
// # Life of a message
//
// The ledger is the spool: nothing is queued beside it, so memory is one batch
// of at most 256 records for each repository, and nobody who records ever waits.
// Each repository has a durable cursor and a goroutine of its own. A batch is
// read, rendered and written. Syslog has no acknowledgement, so three things
// stand in for one. A record counts as arrived when the repository's machine has
// acknowledged its last byte, which the kernel knows (SIOCOUTQ): that is what
// Status shows. It counts as read when the session has ended in order, ours with
// close_notify and the repository's with a close that is no reset, which its
// system sends for a program that dies, or closes, with something unread; while
// something is sent, each session is ended so after half a minute, and the next
// begun. It counts as kept when that has stayed so for another ten seconds, since
// programs queue what they have read in memory. Only then does the cursor move.
// Whatever breaks a session, the next begins at the cursor: in order, repeated
// perhaps, never left out. The same record makes the same message, byte for byte, until
// Cordon is started anew and the process id is another, so that repetitions can be
// told. Over UDP a message counts as kept when it is sent; nobody knows what
// becomes of it. Lines in a file are synced before the cursor moves.
//
// A repository may be away for as long as records are retained. One that is
// away, or behind, for two minutes is an alarm in Status and a record.
//
// It will not change, drop or reorder records, and decides nothing. Patients'
// names and ids are opened for audit messages alone, which have them by the
// standard; never for JSON, logs or errors.
package atna
