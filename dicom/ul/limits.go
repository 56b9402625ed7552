package ul

import "time"

// Limits bound what a peer may take. A zero field means the default.
type Limits struct {
	ARTIM              time.Duration // for the A-ASSOCIATE-RQ, and for the peer to close after release, rejection or abort (PS3.8 §9.1.5); 30 s
	Idle               time.Duration // between messages; 10 minutes
	WriteTimeout       time.Duration // without progress of a write; 60 s
	Grace              time.Duration // how long the peer may fall short of MinThroughput while a PDU or a message is under way; 30 s
	MinThroughput      uint32        // bytes per second that the peer must send while a PDU or a message is under way; 1024
	MaxPDULength       uint32        // the longest P-DATA-TF that we receive, and announce; 131072
	MaxSendPDULength   uint32        // the longest P-DATA-TF that we send, if the peer receives it; 131072
	MaxAssociateLength uint32        // the longest A-ASSOCIATE-RQ or -AC that we receive; 1 MiB
}

func (l Limits) withDefaults() Limits {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	defN := func(n *uint32, v uint32) {
		if *n == 0 {
			*n = v
		}
	}
	def(&l.ARTIM, 30*time.Second)
	def(&l.Idle, 10*time.Minute)
	def(&l.WriteTimeout, time.Minute)
	def(&l.Grace, 30*time.Second)
	defN(&l.MinThroughput, 1024)
	defN(&l.MaxPDULength, 128<<10)
	defN(&l.MaxSendPDULength, 128<<10)
	defN(&l.MaxAssociateLength, 1<<20)
	return l
}
