// Package policy says who may do what, and what becomes of an object. It is
// pure: functions over values, with no socket, no PDU, no database and no
// clock, so that every answer can be put in a table and tested.
//
// These questions are asked of it:
//
//	admission := site.Admit(policy.Association{...}) // who, and which contexts
//	admission := site.AdmitWeb(policy.WebPeer{...}, policy.WebRequest{...}) // the same, over HTTP
//	fs := policy.Except(findings, origin, approved)  // the habits of this device
//	decision := rules.Decide(report)                 // admit, hold or refuse
//
// It will not look inside an object (package inspect does), and it will not
// act on its own answers (the gateway does).
package policy
