package bridge

import (
	"bytes"
	"context"
	"errors"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/web"
)

// find answers a C-FIND (PS3.4 §C.4.1) by searches (PS3.18 §10.6).
func (s *session) find(ctx, within context.Context, m *dimse.Message, identifier []byte) (dimse.Command, []byte) {
	q, err := query(m, identifier)
	if err != nil {
		return dimse.Command{Status: dimse.DataSetDoesNotMatchSOPClass, ErrorComment: "identifier cannot be read, or its level is none of the SOP class"}, nil
	}
	matches := 0
	err = s.b.search(within, q, func(row web.DataSet) error {
		if matches++; matches > s.b.config.MaxMatches {
			return errShortened
		}
		var data bytes.Buffer
		if err := row.Identifier(q, s.b.config.AETitle).Encode(&data, m.Context.TransferSyntax); err != nil {
			return err
		}
		return s.x.Respond(ctx, m, dimse.Command{Status: dimse.Pending}, &data)
	})
	switch {
	case isCancelled(within):
		return dimse.Command{Status: dimse.Cancel}, nil
	case err != nil:
		status, comment := unfound(err)
		s.log.Warn("bridge: search failed", "status", uint16(status), "error", err)
		return dimse.Command{Status: status, ErrorComment: comment}, nil
	}
	return dimse.Command{Status: dimse.Success}, nil
}

var errLevel = errors.New("its level is none of the SOP class")

// query reads the identifier of a C-FIND.
func query(m *dimse.Message, identifier []byte) (web.Query, error) {
	q, err := web.ParseIdentifier(identifier, m.Context.TransferSyntax, web.Limits{Bytes: maxIdentifier})
	if err == nil && q.Level == web.LevelPatient && models[m.Context.AbstractSyntax] != "PATIENT" {
		err = errLevel
	}
	return q, err
}

// errShortened means that the archive gives less than all, and does not give the
// rest when it is asked for it.
var errShortened = errors.New(commentShortened)

// search passes on each match of a query once, page by page where the archive gives
// one after the other (PS3.18 §8.3.4.4). An error of each ends it and is returned.
func (b *Bridge) search(ctx context.Context, q web.Query, each func(web.DataSet) error) error {
	seen := map[string]bool{}
	for {
		fresh := 0
		more, err := b.config.Client.Query(ctx, q, func(row web.DataSet) error {
			q.Offset++
			key := uniqueKey(q.Level, row)
			if seen[key] {
				return nil
			}
			if len(seen) >= b.config.MaxMatches {
				return errShortened
			}
			seen[key] = true
			fresh++
			return each(row)
		})
		switch {
		case b.heard(ctx, err) != nil:
			return err
		case !more:
			return nil
		case fresh == 0:
			return errShortened
		}
	}
}

// uniqueKey is what tells a match of a level from the others. Matches without one
// are one match.
func uniqueKey(level web.Level, row web.DataSet) string {
	switch level {
	case web.LevelPatient:
		return row.String(dicom.TagPatientID) + "\x00" + row.String(dicom.TagIssuerOfPatientID)
	case web.LevelStudy:
		return row.String(dicom.TagStudyInstanceUID)
	case web.LevelSeries:
		return row.String(dicom.TagSeriesInstanceUID)
	}
	return row.String(dicom.TagSOPInstanceUID)
}
