// Doors sends readings through each door and reads the answers, with pgx.
//
//	doors DEVICE [PARAMETERS]
//
// PARAMETERS are those of a connection string. It connects by the PG* variables. Packages: golang-go,
// golang-github-jackc-pgx-v4-dev:
//
//	GO111MODULE=off GOPATH=/usr/share/gocode go build doors.go
//
// doc/manual/drivers.md says which types to bind.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"math"
	"os"
	"time"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgx/v4"
)

var measuredAt = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// A map becomes JSON where the server says that a parameter is json or jsonb.
type object = map[string]interface{}

type querier interface {
	Query(ctx context.Context, sql string, arguments ...interface{}) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, arguments ...interface{}) pgx.Row
}

// sendReading sends one reading. Metrics are an object or nil; a nil of type object would be the JSON null, which is refused.
// A real client sends the whole call again after a lost connection, 40001, 40P01 or TC101.
func sendReading(
	ctx context.Context, db querier, device, key string, temperature float64, metrics interface{},
) (id int64, status string, err error) {
	err = db.QueryRow(ctx, `SELECT event_id, status FROM telemetry.ingest_telemetry(
		$1, $2, temperature => $3, idempotency_key => $4, metrics => $5)`,
		device, measuredAt, temperature, key, metrics).Scan(&id, &status)
	return id, status, err
}

func sendOne(ctx context.Context, db querier, device string) error {
	first, status, err := sendReading(ctx, db, device, device+":1", 21.5, object{"battery": 3.7})
	if err != nil {
		return err
	}
	fmt.Println("one:", status)
	again, status, err := sendReading(ctx, db, device, device+":1", 21.5, object{"battery": 3.7})
	if err != nil {
		return err
	}
	which := "another"
	if again == first {
		which = "the same"
	}
	fmt.Printf("repeat: %s of %s event\n", status, which)
	return nil
}

func sendRefused(ctx context.Context, db querier, device string) error {
	_, _, err := sendReading(ctx, db, device, device+":bad", math.NaN(), nil)
	var refused *pgconn.PgError
	if !errors.As(err, &refused) {
		return err
	}
	fmt.Printf("refused: %s %s\ndetail: %s\nhint: %s\n", refused.Code, refused.Message, refused.Detail, refused.Hint)
	return nil
}

// receipt is what a batch returns.
type receipt struct {
	received, accepted, duplicates, conflicts, rejected int
	token                                               string
}

const counts = "SELECT received, accepted, duplicates, conflicts, rejected, token FROM "

func (r *receipt) read(row pgx.Row) error {
	return row.Scan(&r.received, &r.accepted, &r.duplicates, &r.conflicts, &r.rejected, &r.token)
}

// show prints a receipt, and the items that are not simply stored.
func (r *receipt) show(ctx context.Context, db querier, door string) error {
	fmt.Printf("%s: received %d accepted %d duplicates %d conflicts %d rejected %d\n",
		door, r.received, r.accepted, r.duplicates, r.conflicts, r.rejected)
	rows, err := db.Query(ctx, `SELECT item_index, verdict, coalesce(sqlstate, '-') FROM telemetry.batch_verdicts($1)
		WHERE verdict <> 'accepted' ORDER BY item_index`, r.token)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var index int64
		var verdict, sqlstate string
		if err := rows.Scan(&index, &verdict, &sqlstate); err != nil {
			return err
		}
		fmt.Printf("%s item %d: %s %s\n", door, index, verdict, sqlstate)
	}
	return rows.Err()
}

func sendJSON(ctx context.Context, db querier, device string) error {
	items := []object{
		{"device_id": device, "measured_at": measuredAt, "temperature": 21.5, "idempotency_key": device + ":1",
			"metrics": object{"battery": 3.7}},
		{"device_id": device, "measured_at": measuredAt.Add(time.Minute), "temperature": 21.7, "idempotency_key": device + ":2"},
		{"device_id": device, "temprature": 21.9, "idempotency_key": device + ":3"},
	}
	var r receipt
	// Without ::json the parameter is a text, and pgx does not make a text of a map.
	if err := r.read(db.QueryRow(ctx, counts+"telemetry.ingest_telemetry_batch($1::json)", items)); err != nil {
		return err
	}
	if err := r.show(ctx, db, "json"); err != nil {
		return err
	}
	// A gateway that has the text already passes it on as it is.
	text, err := json.Marshal(items[:2])
	if err != nil {
		return err
	}
	if err := r.read(db.QueryRow(ctx, counts+"telemetry.ingest_telemetry_batch($1)", string(text))); err != nil {
		return err
	}
	fmt.Println("text:", r.duplicates, "duplicates")
	return nil
}

func sendCopy(ctx context.Context, connection *pgx.Conn, device string) (token string, err error) {
	rows := make([][]interface{}, 1000)
	for i := range rows {
		n := i + 1
		temperature := 20 + float64(n)/1000
		if n == 500 {
			temperature = math.NaN()
		}
		rows[i] = []interface{}{device, measuredAt.Add(time.Hour + time.Duration(n)*time.Second), temperature,
			fmt.Sprintf("%s:copy:%d", device, n)}
	}
	var r receipt
	// The receipt is asked for in the same transaction, because through a pooler the next one may run in another session.
	err = connection.BeginFunc(ctx, func(transaction pgx.Tx) error {
		_, err := transaction.CopyFrom(ctx, pgx.Identifier{"telemetry", "inbox"},
			[]string{"device_id", "measured_at", "temperature", "idempotency_key"}, pgx.CopyFromRows(rows))
		if err != nil {
			return err
		}
		return r.read(transaction.QueryRow(ctx, counts+"telemetry.inbox_receipt()"))
	})
	if err != nil {
		return "", err
	}
	return r.token, r.show(ctx, connection, "copy")
}

func waitFor(ctx context.Context, db querier, device, token string) error {
	var outcome string
	var count int64
	if err := db.QueryRow(ctx, "SELECT telemetry.wait_for($1)", token).Scan(&outcome); err != nil {
		return err
	}
	err := db.QueryRow(ctx, "SELECT sample_count FROM telemetry.device_stats WHERE device_id = $1", device).Scan(&count)
	if err != nil {
		return err
	}
	fmt.Printf("waited: %s, %d readings\n", outcome, count)
	return nil
}

func run(device, parameters string) error {
	ctx := context.Background()
	// By statement_cache_mode=describe pgx learns the types and prepares nothing, so it works through a pooler as well.
	connection, err := pgx.Connect(ctx, "application_name=example_go statement_cache_mode=describe "+parameters)
	if err != nil {
		return err
	}
	defer connection.Close(ctx)
	for _, send := range []func(context.Context, querier, string) error{sendOne, sendRefused, sendJSON} {
		if err := send(ctx, connection, device); err != nil {
			return err
		}
	}
	token, err := sendCopy(ctx, connection, device)
	if err != nil {
		return err
	}
	return waitFor(ctx, connection, device, token)
}

func main() {
	if len(os.Args) < 2 || len(os.Args) > 3 {
		log.Fatal("doors DEVICE [PARAMETERS]")
	}
	parameters := ""
	if len(os.Args) == 3 {
		parameters = os.Args[2]
	}
	if err := run(os.Args[1], parameters); err != nil {
		log.Fatal(err)
	}
}
