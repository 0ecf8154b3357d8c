#!/usr/bin/env bash
# A Kafka broker for KAFKA_BROKERS: one node that is its own controller. Debian has none; its jars come through Maven.
#
#   KAFKA_PORT  of the broker, 19092; its controller listens on the next one
#   KAFKA_USERS=yes  clients must give a user and a password: mesh, mesh-secret
. "$(dirname "${BASH_SOURCE[0]}")/_common.sh"

release=4.3.1
port=${KAFKA_PORT:-19092}
jars=$PARTS_DIR/kafka-$release
home=$PARTS_DIR/kafka-$port
settings=$home/server.properties

install() {
  packages openjdk-17-jre-headless
  [ ! -e "$jars/complete" ] || return 0
  packages maven
  local project
  project=$(mktemp -d)
  cat >"$project/pom.xml" <<END
<project>
  <modelVersion>4.0.0</modelVersion><groupId>parts</groupId><artifactId>kafka</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$release</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
END
  mvn -q -B -ntp -f "$project/pom.xml" dependency:copy-dependencies -DoutputDirectory="$jars" -DincludeScope=runtime >&2
  rm -rf "$project"
  touch "$jars/complete"
}

configure() {
  local protocol=PLAINTEXT
  [ -z "${KAFKA_USERS:-}" ] || protocol=SASL_PLAINTEXT
  cat >"$settings" <<END
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$((port + 1))
listeners=CLIENTS://127.0.0.1:$port,CONTROLLER://127.0.0.1:$((port + 1))
advertised.listeners=CLIENTS://127.0.0.1:$port
listener.security.protocol.map=CLIENTS:$protocol,CONTROLLER:PLAINTEXT
inter.broker.listener.name=CLIENTS
controller.listener.names=CONTROLLER
sasl.enabled.mechanisms=PLAIN
sasl.mechanism.inter.broker.protocol=PLAIN
listener.name.clients.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username="mesh" password="mesh-secret" user_mesh="mesh-secret";
log.dirs=$home/data
auto.create.topics.enable=false
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
log.cleaner.backoff.ms=500
END
}

kafka() { java -Xms256m -Xmx512m -XX:+UseSerialGC -Djava.net.preferIPv4Stack=true -cp "$jars/*" "$@"; }

answers() { (exec 3<>"/dev/tcp/127.0.0.1/$port"); }

start() {
  mkdir -p "$home"
  if ! is_running "$home/pid"; then
    configure
    if [ ! -e "$home/data/meta.properties" ]; then
      kafka kafka.tools.StorageTool format -t "$(kafka kafka.tools.StorageTool random-uuid 2>/dev/null)" -c "$settings" >&2
    fi
    detach "$home/pid" "$home/log" java -Xms256m -Xmx512m -XX:+UseSerialGC -Djava.net.preferIPv4Stack=true \
      -cp "$jars/*" kafka.Kafka "$settings"
  fi
  answers_within 60 "$home/pid" "$home/log" grep -q 'Kafka Server started' "$home/log"
  answers_within 20 "$home/pid" "$home/log" answers
  echo "127.0.0.1:$port"
}

stop() { end_of "$home/pid"; }

part "$@"
