package ul

import "fmt"

// state is a state of the upper layer protocol machine (PS3.8 §9.2.1).
type state uint8

const (
	sta1  state = 1 + iota // idle
	sta2                   // transport connection open, awaiting A-ASSOCIATE-RQ
	sta3                   // awaiting local A-ASSOCIATE response
	sta4                   // awaiting transport connection opening
	sta5                   // awaiting A-ASSOCIATE-AC or -RJ
	sta6                   // association established
	sta7                   // awaiting A-RELEASE-RP
	sta8                   // awaiting local A-RELEASE response
	sta9                   // release collision, requestor: awaiting local A-RELEASE response
	sta10                  // release collision, acceptor: awaiting A-RELEASE-RP
	sta11                  // release collision, requestor: awaiting A-RELEASE-RP
	sta12                  // release collision, acceptor: awaiting local A-RELEASE response
	sta13                  // awaiting transport connection close
)

// event is an event of the protocol machine (PS3.8 table 9-10, rows).
type event uint8

const (
	evt1AssociateRequest event = 1 + iota // local
	evt2TransportConfirm                  // transport
	evt3AssociateAC                       // PDU
	evt4AssociateRJ                       // PDU
	evt5TransportOpened                   // transport indication
	evt6AssociateRQ                       // PDU
	evt7AssociateAccept                   // local
	evt8AssociateReject                   // local
	evt9DataRequest                       // local
	evt10Data                             // PDU
	evt11ReleaseRequest                   // local
	evt12ReleaseRQ                        // PDU
	evt13ReleaseRP                        // PDU
	evt14ReleaseResponse                  // local
	evt15AbortRequest                     // local
	evt16Abort                            // PDU
	evt17TransportClosed                  // transport
	evt18ARTIMExpired                     // timer
	evt19InvalidPDU                       // unrecognised or invalid PDU
)

// action is an action of the protocol machine (PS3.8 tables 9-6 to 9-9).
type action uint8

const (
	no   action = iota // the event cannot happen in this state
	ae1                // issue a transport connect request
	ae2                // send A-ASSOCIATE-RQ
	ae3                // issue A-ASSOCIATE confirmation (accept)
	ae4                // issue A-ASSOCIATE confirmation (reject), close the transport connection
	ae5                // issue a transport connection response, start ARTIM
	ae6                // stop ARTIM; issue A-ASSOCIATE indication, or send A-ASSOCIATE-RJ and start ARTIM
	ae7                // send A-ASSOCIATE-AC
	ae8                // send A-ASSOCIATE-RJ, start ARTIM
	dt1                // send P-DATA-TF
	dt2                // issue P-DATA indication
	ar1                // send A-RELEASE-RQ
	ar2                // issue A-RELEASE indication
	ar3                // issue A-RELEASE confirmation, close the transport connection
	ar4                // send A-RELEASE-RP, start ARTIM
	ar5                // stop ARTIM
	ar6                // issue P-DATA indication
	ar7                // send P-DATA-TF
	ar8                // issue A-RELEASE indication (collision)
	ar9                // send A-RELEASE-RP
	ar10               // issue A-RELEASE confirmation
	aa1                // send A-ABORT (service user), start or restart ARTIM
	aa2                // stop ARTIM, close the transport connection
	aa3                // issue A-ABORT or A-P-ABORT indication, close the transport connection
	aa4                // issue A-P-ABORT indication
	aa5                // stop ARTIM
	aa6                // ignore the PDU
	aa7                // send A-ABORT
	aa8                // send A-ABORT (service provider), issue A-P-ABORT indication, start ARTIM
)

// stateTable is PS3.8 table 9-10: the action for an event (row) in a state (column).
var stateTable = [19][13]action{
	//       Sta1 Sta2 Sta3 Sta4 Sta5 Sta6 Sta7 Sta8 Sta9 Sta10 Sta11 Sta12 Sta13
	/*  1 */ {ae1, no, no, no, no, no, no, no, no, no, no, no, no},
	/*  2 */ {no, no, no, ae2, no, no, no, no, no, no, no, no, no},
	/*  3 */ {no, aa1, aa8, no, ae3, aa8, aa8, aa8, aa8, aa8, aa8, aa8, aa6},
	/*  4 */ {no, aa1, aa8, no, ae4, aa8, aa8, aa8, aa8, aa8, aa8, aa8, aa6},
	/*  5 */ {ae5, no, no, no, no, no, no, no, no, no, no, no, no},
	/*  6 */ {no, ae6, aa8, no, aa8, aa8, aa8, aa8, aa8, aa8, aa8, aa8, aa7},
	/*  7 */ {no, no, ae7, no, no, no, no, no, no, no, no, no, no},
	/*  8 */ {no, no, ae8, no, no, no, no, no, no, no, no, no, no},
	/*  9 */ {no, no, no, no, no, dt1, no, ar7, no, no, no, no, no},
	/* 10 */ {no, aa1, aa8, no, aa8, dt2, ar6, aa8, aa8, aa8, aa8, aa8, aa6},
	/* 11 */ {no, no, no, no, no, ar1, no, no, no, no, no, no, no},
	/* 12 */ {no, aa1, aa8, no, aa8, ar2, ar8, aa8, aa8, aa8, aa8, aa8, aa6},
	/* 13 */ {no, aa1, aa8, no, aa8, aa8, ar3, aa8, aa8, ar10, ar3, aa8, aa6},
	/* 14 */ {no, no, no, no, no, no, no, ar4, ar9, no, no, ar4, no},
	/* 15 */ {no, no, aa1, aa2, aa1, aa1, aa1, aa1, aa1, aa1, aa1, aa1, no},
	/* 16 */ {no, aa2, aa3, no, aa3, aa3, aa3, aa3, aa3, aa3, aa3, aa3, aa2},
	/* 17 */ {no, aa5, aa4, aa4, aa4, aa4, aa4, aa4, aa4, aa4, aa4, aa4, ar5},
	/* 18 */ {no, aa2, no, no, no, no, no, no, no, no, no, no, aa2},
	/* 19 */ {no, aa1, aa8, no, aa8, aa8, aa8, aa8, aa8, aa8, aa8, aa8, aa7},
}

// actionNames are the standard's names, in the standard's order.
var actionNames = [...]string{
	"", "AE-1", "AE-2", "AE-3", "AE-4", "AE-5", "AE-6", "AE-7", "AE-8", "DT-1", "DT-2",
	"AR-1", "AR-2", "AR-3", "AR-4", "AR-5", "AR-6", "AR-7", "AR-8", "AR-9", "AR-10",
	"AA-1", "AA-2", "AA-3", "AA-4", "AA-5", "AA-6", "AA-7", "AA-8",
}

// nextStates are the states that the actions lead to. AE-6 and AR-8 choose: see machine.next.
var nextStates = [...]state{
	ae1: sta4, ae2: sta5, ae3: sta6, ae4: sta1, ae5: sta2, ae6: sta3, ae7: sta6, ae8: sta13, dt1: sta6, dt2: sta6,
	ar1: sta7, ar2: sta8, ar3: sta1, ar4: sta13, ar5: sta1, ar6: sta7, ar7: sta8, ar8: sta9, ar9: sta11, ar10: sta12,
	aa1: sta13, aa2: sta1, aa3: sta1, aa4: sta1, aa5: sta1, aa6: sta13, aa7: sta13, aa8: sta13,
}

func (a action) String() string { return actionNames[a] }

// machine is the protocol machine of one connection. It is not safe for concurrent use.
type machine struct {
	state     state
	requestor bool // we are the association requestor
	refuse    bool // the A-ASSOCIATE-RQ is not acceptable by the service provider (AE-6)
}

// step moves the machine and returns the action to perform. An event that cannot happen in the state is an error and changes nothing.
func (m *machine) step(e event) (action, error) {
	act := stateTable[e-1][m.state-1]
	if act == no {
		return no, fmt.Errorf("event %d is not possible in state Sta%d", e, m.state)
	}
	m.state = m.next(act)
	return act, nil
}

func (m *machine) next(act action) state {
	switch {
	case act == ae6 && m.refuse:
		return sta13
	case act == ar8 && !m.requestor:
		return sta10
	}
	return nextStates[act]
}

// startsARTIM reports whether the action starts the ARTIM timer; every other action that leaves for Sta1, Sta3 or Sta6 stops it.
func (m *machine) startsARTIM(act action) bool {
	switch act {
	case ae5, ae8, ar4, aa1, aa8:
		return true
	case ae6:
		return m.refuse
	}
	return false
}
