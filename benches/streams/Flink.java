// Flink's part of run.py: one JVM, a local cluster of two slots, SQL. Reads tasks as lines `name\tkey=value\tkey=value…` on standard
// input, runs each, and prints a line of JSON for each. Run by `java -cp 'lib/*' Flink.java`.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;

public class Flink {
    static TableEnvironment environment(Map<String, String> task) {
        Configuration configuration = new Configuration();
        configuration.setString("parallelism.default", "2");
        configuration.setString("pipeline.object-reuse", "true");
        configuration.setString("taskmanager.numberOfTaskSlots", "2");
        configuration.setString("table.local-time-zone", "UTC");
        // The managed memory is for RocksDB and for sorts; the heap state backend needs none of it.
        configuration.setString("state.backend.type", "hashmap");
        if (task.containsKey("checkpoints")) {
            configuration.setString("execution.checkpointing.interval", task.get("interval"));
            configuration.setString("execution.checkpointing.mode", "EXACTLY_ONCE");
            configuration.setString("execution.checkpointing.dir", "file://" + task.get("checkpoints"));
            configuration.setString("execution.checkpointing.externalized-checkpoint-retention", "RETAIN_ON_CANCELLATION");
        }
        if (task.containsKey("recover")) {
            configuration.setString("execution.state-recovery.path", "file://" + task.get("recover"));
        }
        return TableEnvironment.create(
                EnvironmentSettings.newInstance().inStreamingMode().withConfiguration(configuration).build());
    }

    static double run(Map<String, String> task) throws Exception {
        TableEnvironment tables = environment(task);
        String monitor = task.containsKey("monitor") ? ", 'source.monitor-interval' = '" + task.get("monitor") + "'" : "";
        tables.executeSql("CREATE TABLE bids (auction BIGINT, bidder BIGINT, price BIGINT, ts BIGINT, "
                + "time_of AS TO_TIMESTAMP_LTZ(ts, 3), WATERMARK FOR time_of AS time_of - INTERVAL '5' SECOND) WITH ('connector' = 'filesystem', "
                + "'path' = 'file://" + task.get("input") + "', 'format' = 'csv'" + monitor + ")");
        tables.executeSql("CREATE TABLE output (window_start BIGINT, window_end BIGINT, auction BIGINT, bids BIGINT, total BIGINT) "
                + "WITH ('connector' = 'filesystem', 'path' = 'file://" + task.get("output") + "', 'format' = 'csv')");
        String window = switch (task.get("window")) {
            case "hopping" -> "HOP(TABLE bids, DESCRIPTOR(time_of), INTERVAL '2' SECONDS, INTERVAL '10' SECONDS)";
            case "tumbling" -> "TUMBLE(TABLE bids, DESCRIPTOR(time_of), INTERVAL '10' SECONDS)";
            default -> "TUMBLE(TABLE bids, DESCRIPTOR(time_of), INTERVAL '1' DAY)";
        };
        String millis = "CAST(1000 AS BIGINT) * TIMESTAMPDIFF(SECOND, TIMESTAMP '1970-01-01 00:00:00', %s)";
        long started = System.nanoTime();
        tables.executeSql("INSERT INTO output SELECT " + String.format(millis, "window_start") + ", "
                + String.format(millis, "window_end") + ", auction, COUNT(*), SUM(price) FROM TABLE(" + window
                + ") GROUP BY window_start, window_end, auction").await();
        return (System.nanoTime() - started) / 1e9;
    }

    /** The most memory that this process ever had in RAM, in bytes. */
    static long peak() throws Exception {
        for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
            if (line.startsWith("VmHWM")) {
                return Long.parseLong(line.replaceAll("[^0-9]", "")) * 1024;
            }
        }
        return 0;
    }

    public static void main(String[] arguments) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] words = line.split("\t");
            Map<String, String> task = new HashMap<>();
            for (int i = 1; i < words.length; i++) {
                String[] pair = words[i].split("=", 2);
                task.put(pair[0], pair[1]);
            }
            double seconds = run(task);
            System.out.println("{\"task\": \"" + words[0] + "\", \"seconds\": " + seconds + ", \"peak_rss\": " + peak() + "}");
            System.out.flush();
        }
        System.exit(0);
    }
}
