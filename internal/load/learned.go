package load

import (
	"context"
	"time"

	"archiver/internal/archive"
)

// Learned returns what was learned of the source since a time.
func (s *Store) Learned(ctx context.Context, source archive.SourceID, since time.Time) ([]archive.Learned, error) {
	return nil, nil
}

// Learn keeps what was learned of the source.
func (s *Store) Learn(ctx context.Context, source archive.SourceID, learned []archive.Learned) error {
	return nil
}

// Prove makes windows complete that are expired and unproven.
func (s *Store) Prove(ctx context.Context, source archive.SourceID, age time.Duration) (int, error) {
	return 0, nil
}

// EndList notes whether the list of functions was whole.
func (s *Store) EndList(ctx context.Context, source archive.SourceID, e *archive.ListError, at time.Time) error {
	return nil
}
