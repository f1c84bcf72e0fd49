internal import CKluereSupport
package import KluereBase
package import KluereCompute
internal import KluereData
package import KluereFormats
internal import KluereText

/// What a caller may ask of `Model.open`; see kluere_model_open_options.
package struct ModelOpenOptions: Sendable {
  package var inputForm: InputForm?
  package var inputTemplate: String?
  package var particles: ParticleRule?
  package var afterMarker: AfterMarker?
  package var entitySegments: Bool?
  package var head: RelationHead?
  package var maxTokens: Int?
  package var readIntoMemory = false
  package var seed: UInt64 = 42
  package var labels: [String]?
  package var task = ModelTask.classification
  /// Special tokens that the folder's tokenizer gets; the model grows with it.
  package var addedSpecialTokens: [String] = []

  package init() {}

  /// What is given replaces what the folder says; another form comes with its own ways.
  func applyInput(to configuration: inout ModelConfiguration) {
    if let inputForm {
      configuration.inputForm = inputForm
      configuration.afterMarker = nil
      if inputForm != .template { configuration.inputTemplate = nil }
    }
    if let inputTemplate {
      if inputForm == nil { configuration.inputForm = .template }
      configuration.inputTemplate = inputTemplate
    }
    if let particles { configuration.particles = particles }
    if let afterMarker { configuration.afterMarker = afterMarker }
    if let entitySegments { configuration.entitySegments = entitySegments }
    if let maxTokens { configuration.maxTokens = maxTokens }
  }
}

extension Model {
  package static let weightsName = WeightFiles.safetensors
  /// Of int8: transformers, which does not know the scales, must not take the numbers for weights.
  package static let int8WeightsName = "model.int8.safetensors"
  /// Every file that a model folder of ours may hold; others in a folder to be replaced are refused rather than lost.
  package static let fileNames = Set(
    [ConfigFile.name, KluereFile.name, weightsName, int8WeightsName] + TokenizerFolder.names)

  // MARK: Opening

  /// Opens a folder of kluere's or of Hugging Face's encoders, sequence classifiers and masked-LM models.
  package static func open(
    context: Context, directory: String, options: ModelOpenOptions
  ) throws(KluereError) -> Model {
    try AtomicDirectory.recover(directory)
    guard ks_path_kind(directory) == 2 else {
      throw KluereError(.io, "\(directory): there is no such folder")
    }
    let configPath = directory + "/" + ConfigFile.name
    var config = try ConfigFile(try Files.readAll(configPath), path: configPath)
    var extras = ModelExtras()
    var form = WeightForm.float32
    let kluerePath = directory + "/" + KluereFile.name
    let hasKluereFile = ks_path_kind(kluerePath) == 1
    if hasKluereFile {
      let file = try KluereFile(try Files.readAll(kluerePath), path: kluerePath)
      config.labels = file.labels
      file.apply(to: &config.configuration)
      extras = file.extras
      form = file.weights
      if extras.decoding != nil, let labels = options.labels, labels != file.labels {
        context.log(.warning, "\(kluerePath): decoding is for the labels there, others were asked for: left out")
        extras.decoding = nil
      }
      if options.task != .classification { extras.decoding = nil }
    }
    options.applyInput(to: &config.configuration)
    let storedHead = config.configuration.head
    config.configuration.head = options.head ?? storedHead
    if config.configuration.head != storedHead { extras.decoding = nil }
    let oldTypes = config.configuration.typeVocabularySize
    if config.configuration.entitySegments {
      config.configuration.typeVocabularySize = max(oldTypes, ModelConfiguration.entitySegmentTypes)
    }
    var tokenizer = try TokenizerFolder.open(directory, addedSpecialTokens: options.addedSpecialTokens)
    var newSpecialTokens = options.addedSpecialTokens
    if options.task == .classification {
      let tokens = try config.configuration.parsedTemplate().addedTokens
      tokenizer = try tokenizer.with(specialTokens: tokens)
      newSpecialTokens += tokens
    }
    let oldRows = config.configuration.vocabularySize
    let newTokens = Set(newSpecialTokens.compactMap { tokenizer.id(of: $0) }.filter { Int($0) >= oldRows })
    guard tokenizer.vocabularySize - newTokens.count <= oldRows else {
      throw KluereError(
        .badFormat,
        "\(directory): the tokenizer has \(tokenizer.vocabularySize - newTokens.count) pieces, \(ConfigFile.name) says "
          + "vocab_size \(oldRows)")
    }
    config.configuration.vocabularySize = max(oldRows, tokenizer.vocabularySize)
    config.configuration.task = options.task
    try config.configuration.validate()

    let files = try WeightFiles(
      directory: directory, readIntoMemory: options.readIntoMemory, only: form == .int8 ? int8WeightsName : nil)
    let names = TensorNames(config.configuration)
    let labels = try chooseLabels(config, options, files, names)
    config.configuration.hasPooler = names.alternatives(names.pooler + ".weight").contains { files.tensor($0) != nil }
    extras.fit(labels, stored: config.labels, context, directory)
    if extras.pairHeads != nil, options.task == .classification,
      config.configuration.head != storedHead || files.tensor(TensorNames.pairHeads + ".weight") == nil
    {
      context.log(.warning, "\(directory): its pair heads have no weights for this head and are left out")
      extras.pairHeads = nil
    }
    let layout = try ParameterLayout(
      config.configuration, labelCount: labels.count,
      pairHeadRows: options.task == .classification ? extras.pairHeads?.rowCount ?? 0 : 0)
    let growth = tableGrowth(
      config.configuration, names, oldRows: newTokens.isEmpty ? nil : oldRows, oldTypes: oldTypes)
    // Tensors of another head may bear the names and have the shapes of this one.
    let sources = try findTensors(
      files, layout, names, growth, isOtherHead: hasKluereFile && storedHead != config.configuration.head,
      form)
    if form == .int8, !growth.isEmpty || sources.contains(where: { $0 == nil }) {
      throw KluereError(
        .unsupported,
        "\(directory): its weights are int8: it opens as it was saved, without new tokens, types or another head")
    }
    let scales = try findScales(files, layout, sources, form)
    if extras.decoding != nil, sources.contains(where: { $0 == nil }) {
      context.log(.warning, "\(directory): its decoding was fitted to weights that are missing and is left out")
      extras.decoding = nil
    }
    let weights = try makeWeights(
      sources, files.path, layout, config.configuration, context, seed: options.seed, growth, scales, form)
    let used = Set((sources + scales).compactMap { $0.map { Array($0.name.utf8) } })
    let others = files.tensors.filter { !used.contains(Array($0.name.utf8)) && !names.isBuffer($0.name) }
    let hasDecoder = layout.maskedLM != nil
    return try Model(
      context: context, configuration: config.configuration, tokenizer: tokenizer, labels: labels, layout: layout,
      weights: weights, newlyInitialized: sources.map { $0 == nil },
      unusedTensors: others.filter { !(hasDecoder && names.isCopy($0.name)) }.map(\.name),
      copies: newTokens.isEmpty ? others.filter { hasDecoder && names.isCopy($0.name) } : [], extras: extras)
  }

  /// The caller's labels, else kluere.json's or config.json's names, else KLUE's 30 for a folder without a head, else
  /// generic names for a head whose labels nobody named.
  private static func chooseLabels(
    _ config: ConfigFile, _ options: ModelOpenOptions, _ files: WeightFiles, _ names: TensorNames
  ) throws(KluereError) -> LabelSet {
    if let names = options.labels ?? config.labels { return try LabelSet(names) }
    let head = names.headOutput(config.configuration.head) + ".weight"
    guard let tensor = names.alternatives(head).lazy.compactMap({ files.tensor($0) }).first else { return .klue }
    let rows = tensor.shape.first ?? 0
    if rows == LabelSet.klue.count { return .klue }
    guard rows > 0, rows <= 100_000 else {
      throw KluereError(.badFormat, "\(tensor.path): \(head): shape \(tensor.shape), expected [labels, hidden]")
    }
    return try LabelSet((0..<rows).map { "LABEL_\($0)" })
  }

  /// The tables that get rows which the folder does not have: for new tokens (oldRows), for entity segments.
  private static func tableGrowth(
    _ configuration: ModelConfiguration, _ names: TensorNames, oldRows: Int?, oldTypes: Int
  ) -> [VocabularyGrowth] {
    var growth: [VocabularyGrowth] = []
    if let oldRows { growth.append(VocabularyGrowth(from: oldRows, names, tied: configuration.tiesDecoder)) }
    if configuration.typeVocabularySize > oldTypes { growth.append(VocabularyGrowth(fromTypes: oldTypes, names)) }
    return growth
  }

  /// Where each tensor of the layout stands; nil for those of a head that are missing. All are looked up before memory is
  /// taken: a configuration that claims a huge model without having it is refused at no cost. isOtherHead: the folder's
  /// head is not asked for.
  private static func findTensors(
    _ files: WeightFiles, _ layout: ParameterLayout, _ names: TensorNames, _ growth: [VocabularyGrowth],
    isOtherHead: Bool, _ form: WeightForm
  ) throws(KluereError) -> [StoredTensor?] {
    var sources: [StoredTensor?] = []
    for slot in layout.tensors {
      if isOtherHead, names.isRelationHead(slot.name) {
        sources.append(nil)
        continue
      }
      guard let tensor = names.alternatives(slot.name).lazy.compactMap({ files.tensor($0) }).first else {
        guard names.isHead(slot.name) else {
          throw KluereError(.badFormat, "\(files.path): tensor \(slot.name) is missing")
        }
        sources.append(nil)
        continue
      }
      var rows = slot.rows
      if let growth = growth.first(where: { $0.concerns(slot) }) { rows = growth.oldRows }
      let expected = slot.rank == 1 ? [rows] : [rows, slot.columns]
      guard tensor.shape == expected else {
        throw KluereError(
          .badFormat, "\(tensor.path): \(tensor.name): shape \(tensor.shape), the configuration needs \(expected)")
      }
      if form == .int8, layout.isNarrow(slot) {
        guard tensor.type == .i8, tensor.bytes != nil else {
          throw KluereError(
            .badFormat, "\(tensor.path): \(tensor.name): type \(tensor.type.rawValue), expected I8 in an int8 model")
        }
        sources.append(tensor)
        continue
      }
      guard tensor.type.isFloat else {
        throw KluereError(
          .unsupported,
          "\(tensor.path): \(tensor.name): type \(tensor.type.rawValue), expected F32, F16, BF16 or F64")
      }
      sources.append(tensor)
    }
    return sources
  }

  /// The scales of int8 tensors' rows, finite and not negative.
  private static func findScales(
    _ files: WeightFiles, _ layout: ParameterLayout, _ sources: [StoredTensor?], _ form: WeightForm
  ) throws(KluereError) -> [StoredTensor?] {
    var scales: [StoredTensor?] = []
    for (slot, source) in zip(layout.tensors, sources) {
      guard form == .int8, layout.isNarrow(slot), let source else {
        scales.append(nil)
        continue
      }
      let name = source.name + TensorNames.scales
      guard let tensor = files.tensor(name) else {
        throw KluereError(.badFormat, "\(files.path): tensor \(name) is missing")
      }
      guard tensor.type == .f32, tensor.shape == [slot.rows] else {
        throw KluereError(
          .badFormat, "\(files.path): \(name): \(tensor.type.rawValue) \(tensor.shape), expected F32 [\(slot.rows)]")
      }
      var values = [Float](repeating: 0, count: slot.rows)
      try tensor.readFloats(into: &values)
      if let place = values.firstIndex(where: { !$0.isFinite || $0 < 0 }) {
        throw KluereError(
          .badFormat,
          "\(files.path): \(name)[\(place)]: \(values[place]), expected a finite number that is not negative")
      }
      scales.append(tensor)
    }
    return scales
  }

  /// The weights, most of them still in the file. Those that are missing are made at random, and named in the log.
  private static func makeWeights(
    _ sources: [StoredTensor?], _ path: String, _ layout: ParameterLayout, _ configuration: ModelConfiguration,
    _ context: Context, seed: UInt64, _ growth: [VocabularyGrowth], _ scales: [StoredTensor?], _ form: WeightForm
  ) throws(KluereError) -> ModelWeights {
    let weights = try FloatStorage(count: layout.count, on: context.backend, for: "weights")
    var initializer = WeightInitializer(seed: seed, deviation: configuration.initializerRange)
    var missing: [String] = []
    for (slot, source) in zip(layout.tensors, sources) where source == nil {
      try initializer.fill(slot, in: weights, on: context.backend)
      missing.append(slot.name)
    }
    if !missing.isEmpty {
      context.log(
        .warning, "\(path): not in the file and initialised at random: \(missing.joined(separator: ", "))")
    }
    var pending = sources
    // A sequence of its own: a new head is the same with and without new tokens.
    var generator = WeightInitializer(seed: ~seed, deviation: 1)
    for growth in growth {
      for (number, slot) in layout.tensors.enumerated() where growth.concerns(slot) {
        guard let source = sources[number] else { continue }
        try growth.fill(slot, from: source, in: weights, on: context.backend, &generator)
        pending[number] = nil
      }
    }
    return ModelWeights(
      arena: weights, layout, pending: pending, scales: scales, form: form, on: context.backend)
  }

  // MARK: Saving

  /// Writes the folder beside its place and swaps it in. `extra`: further files of a checkpoint.
  package func save(
    _ directory: String, libraryVersion: String, extra: [ExtraFile] = [], weights other: FloatStorage? = nil
  ) throws(KluereError) {
    let target = try AtomicDirectory(directory, replacing: Model.fileNames.union(extra.map(\.name)))
    do throws(KluereError) {
      try write(to: target, libraryVersion, weights: other)
      for file in extra { try file.write(target) }
      try target.commit()
    } catch {
      target.abort()
      throw error
    }
  }

  /// A file that goes into the folder along with the model's.
  package struct ExtraFile {
    package let name: String
    package let write: (AtomicDirectory) throws(KluereError) -> Void

    package init(_ name: String, _ write: @escaping (AtomicDirectory) throws(KluereError) -> Void) {
      self.name = name
      self.write = write
    }
  }

  private func write(
    to target: AtomicDirectory, _ libraryVersion: String, weights other: FloatStorage?
  ) throws(KluereError) {
    let config = ConfigFile(configuration: configuration, labels: labels.names)
    try target.add(
      ConfigFile.name,
      config.encoded(
        bosTokenID: tokenizer.clsID, eosTokenID: tokenizer.sepID,
        tokenizerClass: tokenizer.configuration.tokenizerClass))
    var file = KluereFile(
      configuration, labels: labels.names, extras: other == nil ? extras : extras.withoutFitted)
    if other == nil { file.weights = weightForm }
    try target.add(KluereFile.name, file.encoded(libraryVersion: libraryVersion))
    for file in TokenizerFolder.files(tokenizer) { try target.add(file.name, file.bytes) }
    if let other {
      try writeTensors(Model.weightsName, to: target, named: layout, from: other)
    } else {
      try writeOwnTensors(to: target)
    }
  }

  /// The model's weights: those that came from a file with the bytes and the type they had there.
  private func writeOwnTensors(to target: AtomicDirectory) throws(KluereError) {
    var tensors: [Safetensors.OutputTensor] = []
    var arena: HostFloats?
    var converted: [UnsafeMutableBufferPointer<Float>] = []
    defer {
      withExtendedLifetime(arena) {}
      for values in converted { values.deallocate() }
    }
    for (number, slot) in layout.tensors.enumerated() {
      let shape = slot.rank == 1 ? [slot.rows] : [slot.rows, slot.columns]
      if let source = weights.unchanged(number) {
        tensors.append(.init(name: slot.name, type: source.type, shape: shape, bytes: source.bytes))
        if let scales = weights.unchangedScales(number), let bytes = scales.bytes {
          tensors.append(
            .init(name: slot.name + TensorNames.scales, type: scales.type, shape: [slot.rows], bytes: bytes))
        }
        continue
      }
      if weightForm == .int8 {
        // Not whole() in fp32: this is a small tensor that the file had in double precision.
        let values = UnsafeMutableBufferPointer<Float>.allocate(capacity: slot.count)
        converted.append(values)
        try weights.read(number, into: values)
        tensors.append(.init(name: slot.name, shape: shape, values: UnsafeBufferPointer(values)))
        continue
      }
      // Only now: whoever is saved as it was opened needs no arena.
      if arena == nil { arena = try HostFloats(try weights.whole(), on: context.backend) }
      guard let arena else { continue }
      tensors.append(
        .init(
          name: slot.name, shape: shape,
          values: UnsafeBufferPointer(start: arena.pointer + slot.offset, count: slot.count)))
    }
    for copy in copies {
      guard let bytes = copy.bytes, !tensors.contains(where: { $0.name == copy.name }) else { continue }
      tensors.append(.init(name: copy.name, type: copy.type, shape: copy.shape, bytes: bytes))
    }
    let name = weightForm == .int8 ? Model.int8WeightsName : Model.weightsName
    try Safetensors.write(name, to: target, tensors: tensors)
  }

  /// One safetensors file with a tensor for each of the layout, from an arena of its shape.
  package func writeTensors(
    _ name: String, to target: AtomicDirectory, named layout: ParameterLayout, from arena: FloatStorage
  ) throws(KluereError) {
    let values = try HostFloats(arena, on: context.backend)
    defer { withExtendedLifetime(values) {} }
    try Safetensors.write(
      name, to: target,
      tensors: layout.tensors.map { slot in
        Safetensors.OutputTensor(
          name: slot.name, shape: slot.rank == 1 ? [slot.rows] : [slot.rows, slot.columns],
          values: UnsafeBufferPointer(start: values.pointer + slot.offset, count: slot.count))
      })
  }
}
