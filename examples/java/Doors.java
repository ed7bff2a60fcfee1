// Sends readings through each door and reads the answers, with JDBC.
//
//     java -cp /usr/share/java/postgresql.jar Doors.java DEVICE [PARAMETERS]
//
// PARAMETERS are added to the URL, for example prepareThreshold=0 for a pooler in transaction mode. Connects by PGHOST, PGPORT,
// PGDATABASE, PGUSER and PGPASSWORD, over TCP. Packages: default-jdk-headless, libpostgresql-jdbc-java. doc/manual/drivers.md says
// which types to bind.

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Types;
import java.time.OffsetDateTime;
import java.util.Properties;

import org.postgresql.PGConnection;
import org.postgresql.copy.CopyIn;
import org.postgresql.util.PSQLException;

public class Doors {
    static final OffsetDateTime MEASURED_AT = OffsetDateTime.parse("2026-03-01T12:00:00Z");
    static final String COUNTS = "SELECT received, accepted, duplicates, conflicts, rejected, token FROM ";

    final Connection connection;
    final String device;

    Doors(Connection connection, String device) {
        this.connection = connection;
        this.device = device;
    }

    record Receipt(long eventId, String status) {}

    // A real client sends the whole call again after a lost connection (08...), 40001, 40P01 or TC101.
    Receipt send(String key, Double temperature, String metrics) throws SQLException {
        try (PreparedStatement call = connection.prepareStatement("SELECT event_id, status FROM telemetry.ingest_telemetry("
                + "?, ?, temperature => ?, idempotency_key => ?, metrics => ?::jsonb)")) {
            call.setString(1, device);
            call.setObject(2, MEASURED_AT); // not an Instant, which the driver refuses
            call.setObject(3, temperature, Types.DOUBLE);
            call.setString(4, key);
            call.setString(5, metrics); // varchar without the ::jsonb, and there is no such function
            try (ResultSet row = call.executeQuery()) {
                row.next();
                return new Receipt(row.getLong("event_id"), row.getString("status"));
            }
        }
    }

    void sendOne() throws SQLException {
        Receipt first = send(device + ":1", 21.5, "{\"battery\": 3.7}");
        System.out.println("one: " + first.status());
        Receipt again = send(device + ":1", 21.5, "{\"battery\": 3.7}");
        String which = again.eventId() == first.eventId() ? "the same" : "another";
        System.out.println("repeat: " + again.status() + " of " + which + " event");
    }

    void sendRefused() throws SQLException {
        try {
            send(device + ":bad", Double.NaN, null);
        } catch (PSQLException error) {
            // SQLException has the SQLSTATE; only the driver's own class has the parts of the message.
            var parts = error.getServerErrorMessage();
            System.out.println("refused: " + error.getSQLState() + " " + parts.getMessage());
            System.out.println("detail: " + parts.getDetail());
            System.out.println("hint: " + parts.getHint());
        }
    }

    void sendJson() throws SQLException {
        String first = """
            {"device_id": "%1$s", "measured_at": "2026-03-01T12:00:00Z", "temperature": 21.5,
             "idempotency_key": "%1$s:1", "metrics": {"battery": 3.7}}""".formatted(device);
        String second = """
            {"device_id": "%1$s", "measured_at": "2026-03-01T12:01:00Z", "temperature": 21.7,
             "idempotency_key": "%1$s:2"}""".formatted(device);
        String third = """
            {"device_id": "%1$s", "temprature": 21.9, "idempotency_key": "%1$s:3"}""".formatted(device);
        try (PreparedStatement call = connection.prepareStatement(COUNTS + "telemetry.ingest_telemetry_batch(?::json)")) {
            call.setString(1, "[" + first + ", " + second + ", " + third + "]");
            showReceipt("json", call);
        }
        // A String does as well.
        try (PreparedStatement call = connection.prepareStatement(COUNTS + "telemetry.ingest_telemetry_batch(?)")) {
            call.setString(1, "[" + first + ", " + second + "]");
            try (ResultSet row = call.executeQuery()) {
                row.next();
                System.out.println("text: " + row.getInt("duplicates") + " duplicates");
            }
        }
    }

    String sendCopy() throws SQLException, IOException {
        // The receipt is asked for in the same transaction, because through a pooler the next one may run in another session.
        connection.setAutoCommit(false);
        CopyIn copy = connection.unwrap(PGConnection.class).getCopyAPI()
            .copyIn("COPY telemetry.inbox (device_id, measured_at, temperature, idempotency_key) FROM STDIN");
        try {
            for (int n = 1; n <= 1000; n++) {
                // A line of the text format. A text with a backslash, tab or line break would need escapes.
                String line = String.join("\t", device, MEASURED_AT.plusHours(1).plusSeconds(n).toString(),
                    n == 500 ? "NaN" : Double.toString(20 + n / 1000.0), device + ":copy:" + n) + "\n";
                byte[] bytes = line.getBytes(StandardCharsets.UTF_8);
                copy.writeToCopy(bytes, 0, bytes.length);
            }
            copy.endCopy();
        } finally {
            if (copy.isActive()) copy.cancelCopy();
        }
        try (PreparedStatement call = connection.prepareStatement(COUNTS + "telemetry.inbox_receipt()")) {
            String token = showReceipt("copy", call);
            connection.commit();
            return token;
        } finally {
            connection.setAutoCommit(true);
        }
    }

    // Runs a call that returns a receipt of a batch. Prints the receipt, and the items that are not simply stored.
    String showReceipt(String door, PreparedStatement call) throws SQLException {
        String token;
        try (ResultSet row = call.executeQuery()) {
            row.next();
            System.out.printf("%s: received %d accepted %d duplicates %d conflicts %d rejected %d%n",
                door, row.getInt(1), row.getInt(2), row.getInt(3), row.getInt(4), row.getInt(5));
            token = row.getString("token");
        }
        try (PreparedStatement verdicts = connection.prepareStatement("SELECT item_index, verdict, coalesce(sqlstate, '-') "
                + "FROM telemetry.batch_verdicts(?) WHERE verdict <> 'accepted' ORDER BY item_index")) {
            verdicts.setString(1, token);
            try (ResultSet row = verdicts.executeQuery()) {
                while (row.next()) {
                    System.out.println(door + " item " + row.getLong(1) + ": " + row.getString(2) + " " + row.getString(3));
                }
            }
        }
        return token;
    }

    void waitFor(String token) throws SQLException {
        try (PreparedStatement wait = connection.prepareStatement("SELECT telemetry.wait_for(?)");
                PreparedStatement statistics = connection.prepareStatement(
                    "SELECT sample_count FROM telemetry.device_stats WHERE device_id = ?")) {
            wait.setString(1, token);
            statistics.setString(1, device);
            try (ResultSet waited = wait.executeQuery()) {
                waited.next();
                try (ResultSet row = statistics.executeQuery()) {
                    row.next();
                    System.out.println("waited: " + waited.getString(1) + ", " + row.getLong(1) + " readings");
                }
            }
        }
    }

    static String variable(String name, String otherwise) {
        String value = System.getenv(name);
        return value == null || value.isEmpty() ? otherwise : value;
    }

    public static void main(String[] arguments) throws Exception {
        if (arguments.length < 1 || arguments.length > 2) {
            System.err.println("Doors DEVICE [PARAMETERS]");
            System.exit(2);
        }
        String url = "jdbc:postgresql://" + variable("PGHOST", "localhost") + ":" + variable("PGPORT", "5432") + "/"
            + variable("PGDATABASE", variable("PGUSER", "postgres")) + (arguments.length == 2 ? "?" + arguments[1] : "");
        Properties properties = new Properties();
        properties.setProperty("user", variable("PGUSER", "postgres"));
        properties.setProperty("password", variable("PGPASSWORD", ""));
        properties.setProperty("ApplicationName", "example_java");
        try (Connection connection = DriverManager.getConnection(url, properties)) {
            Doors doors = new Doors(connection, arguments[0]);
            doors.sendOne();
            doors.sendRefused();
            doors.sendJson();
            doors.waitFor(doors.sendCopy());
        }
    }
}
