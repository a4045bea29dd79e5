// Starts CouchbaseMock, Couchbase's own test server, with the changes that the official Rust SDK requires, and lets
// tests count commands and inject failures. It is in the mock's package to access the package's internals.
//
//   java -cp DIRECTORY:CouchbaseMock.jar com.couchbase.mock.memcached.Launcher HTTP_PORT KEY_VALUE_PORT CONTROL_PORT [NODES]
//
// With several nodes, each holds replicas of the others' data, and the key-value port is 0: each node takes a free port.
// The bucket is "session"; any user name and password are accepted. Each line sent to the control port is a command, and
// is answered by one line:
//   counts               the number of executed commands by type, such as "ADD 1 GET 2"
//   ports                the nodes' key-value ports, in order
//   advertise REAL PORT  the cluster map contains PORT, which belongs to a proxy, instead of a node's REAL port
//   failover NODE        fails the node over: it is shut down, and replicas replace it
//   respawn NODE         restarts the node, without data
//   fail CODE COUNT      the next COUNT data commands are not executed, but answered with CODE (ETMPFAIL, LOCKED, ...)
//   deny on | deny off   rejects every login, or accepts logins again
package com.couchbase.mock.memcached;

import com.couchbase.mock.Bucket;
import com.couchbase.mock.BucketConfiguration;
import com.couchbase.mock.CouchbaseMock;
import com.couchbase.mock.memcached.protocol.BinaryCommand;
import com.couchbase.mock.memcached.protocol.BinaryResponse;
import com.couchbase.mock.memcached.protocol.BinarySaslResponse;
import com.couchbase.mock.memcached.protocol.CommandCode;
import com.couchbase.mock.memcached.protocol.ErrorCode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.lang.reflect.Field;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

public class Launcher {
    private static final String MECHANISMS = "SCRAM-SHA512 SCRAM-SHA256 SCRAM-SHA1 PLAIN";

    private final Map<CommandCode, Integer> counts = new TreeMap<>();
    private final int port;
    private final int nodes;
    private final Map<Integer, Integer> advertised = new TreeMap<>();
    private Bucket bucket;
    private ErrorCode failure;
    private int failures;
    private boolean denying;

    public static void main(String[] args) throws Exception {
        int nodes = args.length > 3 ? Integer.parseInt(args[3]) : 1;
        new Launcher(Integer.parseInt(args[1]), nodes).run(Integer.parseInt(args[0]), Integer.parseInt(args[2]));
    }

    private Launcher(int port, int nodes) {
        this.port = port;
        this.nodes = nodes;
    }

    private void run(int httpPort, int controlPort) throws Exception {
        BucketConfiguration bucket = new BucketConfiguration();
        bucket.name = "session";
        bucket.password = "session";
        bucket.type = Bucket.BucketType.COUCHBASE;
        bucket.hostname = "127.0.0.1";
        bucket.bucketStartPort = port;
        bucket.numNodes = nodes;
        bucket.numReplicas = nodes - 1;
        bucket.numVBuckets = 64;
        // The SDK requests the cluster map over the key-value port, which the mock supports only in this mode.
        Field bootstrap = CouchbaseMock.class.getDeclaredField("cccpBootstrap");
        bootstrap.setAccessible(true);
        bootstrap.setBoolean(null, true);
        CouchbaseMock mock = new CouchbaseMock(httpPort, List.of(bucket));
        mock.start();
        mock.waitForStartup();
        this.bucket = mock.getBuckets().get("session");
        for (MemcachedServer server : this.bucket.getServers()) {
            server.setSaslMechanisms(List.of(MECHANISMS.split(" ")));
            Field field = MemcachedServer.class.getDeclaredField("executors");
            field.setAccessible(true);
            adapt((CommandExecutor[]) field.get(server));
        }
        control(controlPort);
    }

    private void adapt(CommandExecutor[] executors) {
        // The mock's own list ends in a space, which the SDK parses as another mechanism.
        executors[CommandCode.SASL_LIST_MECHS.cc()] = (cmd, server, connection) -> new BinarySaslResponse(cmd, MECHANISMS);
        wrap(executors, CommandCode.SASL_AUTH, (cmd, original) ->
                denied() ? new BinaryResponse(cmd, ErrorCode.AUTH_ERROR) : original.call());
        wrap(executors, CommandCode.GET_CLUSTER_CONFIG, (cmd, original) -> clusterMap(cmd, original.call()));
        for (CommandCode code : List.of(CommandCode.GET, CommandCode.ADD, CommandCode.REPLACE, CommandCode.SET,
                CommandCode.DELETE, CommandCode.TOUCH, CommandCode.GAT)) {
            wrap(executors, code, (cmd, original) -> {
                ErrorCode error = nextFailure(code);
                return error == null ? original.call() : new BinaryResponse(cmd, error);
            });
        }
    }

    private interface Original {
        BinaryResponse call() throws java.net.ProtocolException;
    }

    private interface Wrapper {
        BinaryResponse call(BinaryCommand cmd, Original original) throws java.net.ProtocolException;
    }

    private static void wrap(CommandExecutor[] executors, CommandCode code, Wrapper wrapper) {
        CommandExecutor original = executors[code.cc()];
        executors[code.cc()] = (cmd, server, connection) ->
                wrapper.call(cmd, () -> original.execute(cmd, server, connection));
    }

    /** The map lacks two fields that the SDK requires, and names the host as $HOST. */
    private BinaryResponse clusterMap(BinaryCommand cmd, BinaryResponse reply) {
        ByteBuffer buffer = reply.getBuffer().duplicate();
        buffer.rewind();
        byte[] bytes = new byte[buffer.remaining()];
        buffer.get(bytes);
        if (bytes[6] != 0 || bytes[7] != 0) {
            return reply;
        }
        int start = 24 + (bytes[4] & 0xff);
        String json = new String(bytes, start, bytes.length - start, StandardCharsets.UTF_8).trim();
        json = advertised(json.replace("$HOST", "127.0.0.1"));
        if (!json.contains("clusterCapabilitiesVer")) {
            json = json.substring(0, json.length() - 1) + ",\"clusterCapabilitiesVer\":[1,0],\"clusterCapabilities\":{}}";
        }
        return BinaryResponse.createWithValue(cmd, (byte) 0, json.getBytes(StandardCharsets.UTF_8), 0L);
    }

    private synchronized String advertised(String map) {
        for (Map.Entry<Integer, Integer> port : advertised.entrySet()) {
            map = map.replaceAll("\\b" + port.getKey() + "\\b", String.valueOf(port.getValue()));
        }
        // The SDK identifies nodes by host and console port, but all nodes of the mock share one console. The mock has no
        // TLS ports; the key-value port is advertised as the TLS port, too, for tests with a TLS proxy.
        return map.replaceAll("\"mgmt\":\\d+([^{}]*\"kv\":(\\d+))", "\"mgmt\":$2$1,\"kvSSL\":$2,\"mgmtSSL\":$2");
    }

    private synchronized boolean denied() {
        return denying;
    }

    private synchronized ErrorCode nextFailure(CommandCode code) {
        counts.merge(code, 1, Integer::sum);
        if (failures == 0) {
            return null;
        }
        failures -= 1;
        return failure;
    }

    private void control(int controlPort) throws Exception {
        try (ServerSocket listener = new ServerSocket(controlPort, 50, InetAddress.getByName("127.0.0.1"))) {
            while (true) {
                try (Socket socket = listener.accept()) {
                    BufferedReader lines = new BufferedReader(new InputStreamReader(socket.getInputStream()));
                    OutputStream out = socket.getOutputStream();
                    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                        out.write((obey(line.split(" ")) + "\n").getBytes(StandardCharsets.UTF_8));
                    }
                } catch (java.io.IOException gone) {
                    // The test disconnected; wait for the next one.
                }
            }
        }
    }

    private synchronized String obey(String[] words) {
        switch (words[0]) {
            case "counts":
                StringBuilder text = new StringBuilder();
                counts.forEach((code, count) -> text.append(code).append(' ').append(count).append(' '));
                return text.toString().trim();
            case "ports":
                StringBuilder ports = new StringBuilder();
                for (MemcachedServer server : bucket.getServers()) {
                    ports.append(server.getPort()).append(' ');
                }
                return ports.toString().trim();
            case "advertise":
                advertised.put(Integer.parseInt(words[1]), Integer.parseInt(words[2]));
                return "ok";
            case "failover":
                bucket.failover(Integer.parseInt(words[1]), true);
                return "ok";
            case "respawn":
                bucket.respawn(Integer.parseInt(words[1]));
                return "ok";
            case "fail":
                failure = ErrorCode.valueOf(words[1]);
                failures = Integer.parseInt(words[2]);
                return "ok";
            case "deny":
                denying = words[1].equals("on");
                return "ok";
            default:
                return "unknown";
        }
    }
}
