{{- /*
What the StatefulSet of a chart that depends on this one includes, with mode: sidecar. $gateway is
index .Subcharts "mmsmo-gateway":

  metadata:
    annotations: {{- include "mmsmo-gateway.podAnnotations" $gateway | nindent 8 }}
  spec:
    terminationGracePeriodSeconds: {{ include "mmsmo-gateway.graceSeconds" $gateway }}
    securityContext: {{- include "mmsmo-gateway.podSecurityContext" $gateway | nindent 8 }}
    initContainers: {{- include "mmsmo-gateway.container" $gateway | nindent 8 }}
    containers:
      - volumeMounts: {{- include "mmsmo-gateway.socketMount" $gateway | nindent 12 }}
    volumes: {{- include "mmsmo-gateway.volumes" $gateway | nindent 8 }}
  volumeClaimTemplates: {{- include "mmsmo-gateway.claim" $gateway | nindent 4 }}
*/}}

{{- define "mmsmo-gateway.podAnnotations" -}}
checksum/config: {{ sha256sum .Values.config }}
{{- with .Values.podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* The application's, the gateway's own, and 10 s: a sidecar is told to end once the application has ended. */}}
{{- define "mmsmo-gateway.graceSeconds" -}}
{{- $application := ternary .Values.sidecar.applicationGraceSeconds 0 (eq .Values.mode "sidecar") | int }}
{{- add $application .Values.drainGraceSeconds .Values.drainTimeoutSeconds 10 }}
{{- end }}

{{- define "mmsmo-gateway.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532 # of the journal, the secrets, and the socket, which lets its group in
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "mmsmo-gateway.container" -}}
- name: mmsmo-gateway
  image: {{ include "mmsmo-gateway.image" . }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  {{- if eq .Values.mode "sidecar" }}
  restartPolicy: Always # makes it a sidecar
  {{- end }}
  args:
    - --config=/etc/mmsmo/config/gateway.toml
    - --http-listen=0.0.0.0:8080
    {{- if .Values.http.tlsSecret }}
    - --http-tls-cert=/etc/mmsmo/http-tls/tls.crt
    - --http-tls-key=/etc/mmsmo/http-tls/tls.key
    {{- else }}
    - --insecure=http # only behind an ingress that encrypts; the endpoint has its check, the port its policy
    {{- end }}
    {{- if eq .Values.mode "sidecar" }}
    - --grpc-listen=unix:/run/mmsmo/gateway.sock
    {{- else }}
    - --grpc-listen=0.0.0.0:9090
    - --grpc-tls-cert=/etc/mmsmo/grpc-tls/tls.crt
    - --grpc-tls-key=/etc/mmsmo/grpc-tls/tls.key
    {{- if .Values.grpc.clientCa }}
    - --grpc-tls-client-ca=/etc/mmsmo/grpc-tls/ca.crt
    {{- end }}
    {{- end }}
    - --admin-listen=0.0.0.0:9091
    - --data-dir=/var/lib/mmsmo/journal
    - --retention-age={{ .Values.journal.retentionAge }}
    - --retention-bytes={{ .Values.journal.retentionBytes }}
    - --drain-grace={{ .Values.drainGraceSeconds }}s
    - --drain-timeout={{ .Values.drainTimeoutSeconds }}s
    {{- range .Values.extraArgs }}
    - {{ . | quote }}
    {{- end }}
  ports:
    - {name: postbacks, containerPort: 8080}
    {{- if eq .Values.mode "statefulset" }}
    - {name: subscribers, containerPort: 9090}
    {{- end }}
    - {name: admin, containerPort: 9091}
  # Answers once the journal is open and everything is served. Ten minutes for a recovery; a full disk, with which the
  # gateway is not ready, must not become a restart loop.
  startupProbe:
    httpGet: {path: /healthz, port: 9091}
    periodSeconds: 1
    failureThreshold: 600
  readinessProbe:
    httpGet: {path: /readyz, port: 9091}
    periodSeconds: 2
  livenessProbe:
    httpGet: {path: /healthz, port: 9091}
    periodSeconds: 10
    timeoutSeconds: 5
    terminationGracePeriodSeconds: 20 # who does not answer hardly drains
  resources:
    {{- toYaml .Values.resources | nindent 4 }}
  securityContext:
    allowPrivilegeEscalation: false
    readOnlyRootFilesystem: true
    capabilities: {drop: [ALL]}
  volumeMounts:
    - {name: journal, mountPath: /var/lib/mmsmo}
    {{- if eq .Values.mode "sidecar" }}
    {{- include "mmsmo-gateway.socketMount" . | nindent 4 }}
    {{- end }}
    - {name: config, mountPath: /etc/mmsmo/config, readOnly: true}
    {{- if .Values.secrets }}
    - {name: secret, mountPath: /etc/mmsmo/secret, readOnly: true}
    {{- end }}
    {{- if .Values.http.tlsSecret }}
    - {name: http-tls, mountPath: /etc/mmsmo/http-tls, readOnly: true}
    {{- end }}
    {{- if eq .Values.mode "statefulset" }}
    - {name: grpc-tls, mountPath: /etc/mmsmo/grpc-tls, readOnly: true}
    {{- end }}
{{- end }}

{{- define "mmsmo-gateway.socketMount" -}}
- {name: socket, mountPath: /run/mmsmo}
{{- end }}

{{- define "mmsmo-gateway.volumes" -}}
- name: config
  configMap: {name: {{ include "mmsmo-gateway.name" . }}}
{{- if eq .Values.mode "sidecar" }}
- name: socket
  emptyDir: {}
{{- end }}
{{- if .Values.secrets }}
- name: secret
  projected:
    defaultMode: 0440
    sources:
      {{- range .Values.secrets }}
      - secret: {name: {{ . }}}
      {{- end }}
{{- end }}
{{- with .Values.http.tlsSecret }}
- name: http-tls
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- if eq .Values.mode "statefulset" }}
- name: grpc-tls
  secret: {secretName: {{ .Values.grpc.tlsSecret }}, defaultMode: 0440}
{{- end }}
{{- end }}

{{- define "mmsmo-gateway.claim" -}}
- metadata:
    name: journal
  spec:
    accessModes: [{{ .Values.journal.accessMode }}]
    {{- with .Values.journal.storageClass }}
    storageClassName: {{ . }}
    {{- end }}
    resources:
      requests: {storage: {{ .Values.journal.storage }}}
{{- end }}
