// Package atna tells audit repositories what happened: it renders the records
// of the ledger as audit messages (PS3.15 §A.5, IHE ATNA) and sends them by
// syslog, over TLS (RFC 5425) or UDP (RFC 5426), to one repository or several;
// and as JSON lines with the names of the Elastic Common Schema.
package atna
